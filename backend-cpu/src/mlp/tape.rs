//! The networks on dfdx's tape: each a single operation, its gradient ours, everything around it stock dfdx.
//!
//! dfdx lends no slice of a tensor's numbers, so parameters lie in a buffer of ours, and a network's tensor in dfdx is
//! its *slot*: the leaf under whose name the tape collects the gradient of all parameters, flat, in the layout's order.

use std::array;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dfdx::shapes::HasShape;
use dfdx::tensor::{NoneTape, OwnedTape, PutTape, SplitTape, Tape as _, Tensor, TensorFromVec, ZerosTensor};
use pulp::Arch;
use rayon::prelude::*;
use recsim_core::td3::net::{MlpLayout, Weights};

use super::{Back, Dropout, Frozen, Pass, Room, TILE, vectorised};
use crate::isa::Processor;
use crate::{CpuError, elementary};

/// dfdx's device.
pub(crate) type Host = dfdx::tensor::Cpu;
/// A tape that records.
pub(crate) type Tape = OwnedTape<f32, Host>;
/// A table `[features, rows]` of run-time size.
pub(crate) type Table<T = NoneTape> = Tensor<(usize, usize), f32, Host, T>;

/// A network that learns.
#[derive(Debug)]
pub(crate) struct Net {
    processor: Processor,
    pub(crate) layout: Arc<MlpLayout>,
    weights: Arc<Weights>,
    /// The weights as evaluation takes them, once somebody asks.
    frozen: OnceLock<Frozen>,
    /// Where dfdx keeps the gradient; its own numbers are never read.
    pub(crate) slot: Tensor<(usize,), f32, Host>,
    pass: Arc<Mutex<Pass>>,
}

impl Net {
    /// `alone`: whether no other network learns side by side.
    pub(crate) fn new(processor: Processor, alone: bool, layout: &MlpLayout, weights: &Weights) -> Self {
        Self {
            processor,
            layout: Arc::new(layout.clone()),
            weights: Arc::new(weights.clone()),
            frozen: OnceLock::new(),
            slot: Host::default().zeros_like(&(layout.parameter_count(),)),
            pass: Arc::new(Mutex::new(Pass::new(processor, alone))),
        }
    }

    /// The output in training mode, `[outputs, rows]`, for `input`, `[inputs, rows]`; [`record`] puts it on a tape.
    pub(crate) fn forward(&self, input: &[f32], dropout: &Dropout) -> Result<Vec<f32>, CpuError> {
        let mut pass = locked(&self.pass);
        pass.make_room(&self.layout, input.len() / self.layout.inputs())?;
        Ok(pass.forward(&self.layout, &self.weights, input, dropout).to_vec())
    }

    /// Lets the running statistics follow those of the last pass.
    pub(crate) fn track(&mut self) {
        self.frozen.take();
        locked(&self.pass).track(&self.layout, &mut Arc::make_mut(&mut self.weights).running_stats);
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The parameters, to be changed.
    pub(crate) fn parameters(&mut self) -> &mut [f32] {
        self.frozen.take();
        &mut Arc::make_mut(&mut self.weights).parameters
    }

    /// The network in evaluation mode.
    pub(crate) fn frozen(&self) -> &Frozen {
        self.frozen.get_or_init(|| Frozen::new(self.processor, &self.layout, &self.weights))
    }

    /// The way back through the network in evaluation mode, to so many of its last inputs; and the way forwards is ready.
    pub(crate) fn there_and_back(&self, inputs: usize) -> Back {
        let all = self.layout.inputs();
        let back = || Back::new(self.processor, &self.layout, &self.weights, &(all - inputs..all));
        rayon::join(back, || self.frozen()).0
    }
}

/// Puts on a tape what networks gave for so many rows: on that of the first output. They go their ways back side by
/// side, and add the gradient by their parameters to their slots'; the input gets none.
///
/// A network keeps one pass: go back before the next one.
pub(crate) fn record<const N: usize>(nets: [&Net; N], outputs: [Vec<f32>; N], rows: usize) -> [Table<Tape>; N] {
    let outputs = outputs.map(|output| table(output, rows));
    let ghosts = array::from_fn::<_, N, _>(|n| (outputs[n].ghost(), nets[n].slot.ghost()));
    let nets = nets.map(|net| (Arc::clone(&net.layout), Arc::clone(&net.weights), Arc::clone(&net.pass)));
    let mut tape = Tape::default();
    tape.add_backward_op(move |gradients| {
        let mut tables = Vec::with_capacity(N);
        for (output, slot) in &ghosts {
            let slope = gradients.get_or_alloc_mut(output)?.to_vec();
            tables.push((slope, take(&mut **gradients.get_or_alloc_mut(slot)?)));
        }
        nets.par_iter().zip(&mut tables).for_each(|((layout, weights, pass), (slope, gradient))| {
            locked(pass).backward(layout, weights, slope, gradient);
        });
        for ((_, slot), (_, gradient)) in ghosts.iter().zip(tables) {
            **gradients.get_or_alloc_mut(slot)? = gradient;
        }
        Ok(())
    });
    let mut tape = Some(tape);
    outputs.map(|output| output.put_tape(tape.take().unwrap_or_default()))
}

/// `max_action * tanh(output)`.
pub(crate) fn squash(arch: Arch, output: Table<Tape>, max_action: f32) -> Table<Tape> {
    let (output, mut tape) = output.split_tape();
    let shape = *output.shape();
    let mut tanh = numbers(&output, shape);
    tanh.par_chunks_mut(PIECE).for_each(|piece| {
        vectorised(
            arch,
            #[inline(always)]
            || piece.iter_mut().for_each(|x| *x = elementary::tanh(*x)),
        );
    });
    let action = table(tanh.iter().map(|tanh| tanh * max_action).collect(), shape.1);
    let (from, to) = (action.ghost(), output.ghost());
    tape.add_backward_op(move |gradients| {
        let by_action = gradients.get_or_alloc_mut(&from)?.to_vec();
        let by_output = gradients.get_or_alloc_mut(&to)?;
        for ((by_output, by_action), tanh) in by_output.iter_mut().zip(by_action).zip(tanh) {
            *by_output += by_action * max_action * (1.0 - tanh * tanh);
        }
        Ok(())
    });
    action.put_tape(tape)
}

/// A critic's value, `[1, rows]`, in evaluation mode: of `state`, `[S, rows]`, and `action`, `[D, rows]`. The slope
/// goes back to the action alone, by the way that [`Net::there_and_back`] gives.
///
/// With one output and rows that are independent, that slope is a table as large as the action; it is worked out on
/// the way forwards, while the activations of a tile of rows are at hand.
pub(crate) fn value(critic: &Net, back: &Back, state: &[f32], action: Table<Tape>) -> Table<Tape> {
    let (action, mut tape) = action.split_tape();
    let shape = *action.shape();
    let (dimensions, rows) = shape;
    let width = critic.layout.inputs();
    let chosen = numbers(&action, shape);
    let network = critic.frozen();
    let tile = |[room, _]: &mut [Room; 2], first: usize| {
        let count = TILE.min(rows - first);
        let input = room.input(network, count);
        for (feature, column) in state.chunks_exact(rows).chain(chosen.chunks_exact(rows)).enumerate() {
            let places = input[feature..].iter_mut().step_by(width);
            places.zip(&column[first..first + count]).for_each(|(place, &number)| *place = number);
        }
        let values = room.evaluate(network, count).to_vec();
        (values, room.slope_by_input(network, back, count).to_vec())
    };
    let firsts: Vec<usize> = (0..rows).step_by(TILE).collect();
    let tiles: Vec<_> = firsts.into_par_iter().map(|first| Room::lend(|rooms| tile(rooms, first))).collect();

    let values = table(tiles.iter().flat_map(|(values, _)| values).copied().collect(), rows);
    let (from, to) = (values.ghost(), action.ghost());
    tape.add_backward_op(move |gradients| {
        let by_value = gradients.get_or_alloc_mut(&from)?.to_vec();
        let by_action = gradients.get_or_alloc_mut(&to)?;
        let slopes = tiles.iter().flat_map(|(_, slopes)| slopes.chunks_exact(dimensions));
        for (row, (slopes, by_value)) in slopes.zip(by_value).enumerate() {
            for (by_action, slope) in by_action[row..].iter_mut().step_by(rows).zip(slopes) {
                *by_action += slope * by_value;
            }
        }
        Ok(())
    });
    values.put_tape(tape)
}

/// A tensor `[features, rows]` of these numbers.
pub(crate) fn table(numbers: Vec<f32>, rows: usize) -> Table {
    let shape = (numbers.len() / rows, rows);
    Host::default().tensor_from_vec(numbers, shape)
}

/// A copy of a tensor's numbers.
fn numbers(table: &Table, (features, rows): (usize, usize)) -> Vec<f32> {
    let mut numbers = vec![0.0; features * rows];
    table.copy_into(&mut numbers);
    numbers
}

/// A pass is whole at every moment somebody could panic and leave its lock poisoned: it is only a buffer.
fn locked(pass: &Mutex<Pass>) -> MutexGuard<'_, Pass> {
    pass.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers that one thread takes at a time.
const PIECE: usize = 4096;
