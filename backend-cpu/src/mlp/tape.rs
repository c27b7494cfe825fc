//! The networks on dfdx's tape. Each network is a single operation with its own backward pass; everything around it is
//! standard dfdx.
//!
//! dfdx does not give access to a slice of a tensor's values, so the parameters are in a buffer of this crate. In dfdx
//! a network is represented by its *gradient slot*: the leaf tensor under whose id the tape accumulates the gradient of
//! all parameters, flat, in the layout's order.

use std::array;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dfdx::shapes::HasShape;
use dfdx::tensor::{NoneTape, OwnedTape, PutTape, SplitTape, Tape as _, Tensor, TensorFromVec, ZerosTensor};
use pulp::Arch;
use rayon::prelude::*;
use recsim_core::td3::net::{MlpLayout, Weights};

use super::inference::InputGradWeights;
use super::training::TrainingPass;
use super::{Dropout, InferenceScratch, InferenceWeights, Processor, UPDATE_TILE, vectorized};
use crate::{CpuError, elementary};

/// dfdx's CPU device.
pub(crate) type DfdxCpu = dfdx::tensor::Cpu;
/// A recording tape.
pub(crate) type GradTape = OwnedTape<f32, DfdxCpu>;
/// A tensor `[features, rows]` with run-time sizes.
pub(crate) type Tensor2d<T = NoneTape> = Tensor<(usize, usize), f32, DfdxCpu, T>;

/// A trainable network.
#[derive(Debug)]
pub(crate) struct Net {
    processor: Processor,
    pub(crate) layout: Arc<MlpLayout>,
    weights: Arc<Weights>,
    /// The inference weights: built on first use, dropped when the parameters or running statistics change.
    inference_weights: OnceLock<InferenceWeights>,
    /// The leaf under which dfdx accumulates the gradient. Its own values are never read.
    pub(crate) grad_slot: Tensor<(usize,), f32, DfdxCpu>,
    training_pass: Arc<Mutex<TrainingPass>>,
}

impl Net {
    /// Creates a network. `is_alone` tells that no other network is trained concurrently.
    pub(crate) fn new(processor: Processor, is_alone: bool, layout: &MlpLayout, weights: &Weights) -> Self {
        Self {
            processor,
            layout: Arc::new(layout.clone()),
            weights: Arc::new(weights.clone()),
            inference_weights: OnceLock::new(),
            grad_slot: DfdxCpu::default().zeros_like(&(layout.parameter_count(),)),
            training_pass: Arc::new(Mutex::new(TrainingPass::new(processor, is_alone))),
        }
    }

    /// Computes the output in training mode, `[outputs, rows]`, for `input`, `[inputs, rows]`; [`record_outputs`] puts
    /// it on a tape.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if the activations do not fit into memory.
    pub(crate) fn forward(&self, input: &[f32], dropout: &Dropout) -> Result<Vec<f32>, CpuError> {
        let mut pass = lock(&self.training_pass);
        pass.allocate(&self.layout, input.len() / self.layout.inputs())?;
        Ok(pass.forward(&self.layout, &self.weights, input, dropout).to_vec())
    }

    /// Updates the running statistics by those of the last forward pass.
    pub(crate) fn update_running_stats(&mut self) {
        self.inference_weights.take();
        lock(&self.training_pass)
            .update_running_stats(&self.layout, &mut Arc::make_mut(&mut self.weights).running_stats);
    }

    /// The trainable weights and the running statistics.
    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The parameters, mutably.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        self.inference_weights.take();
        &mut Arc::make_mut(&mut self.weights).parameters
    }

    /// The inference weights.
    pub(crate) fn inference_weights(&self) -> &InferenceWeights {
        self.inference_weights.get_or_init(|| InferenceWeights::new(self.processor, &self.layout, &self.weights))
    }

    /// Builds the weights for the gradient by the last `inputs` of the network's inputs in inference mode, and
    /// concurrently the inference weights.
    pub(crate) fn input_grad_weights(&self, inputs: usize) -> InputGradWeights {
        let all = self.layout.inputs();
        let grad_weights =
            || InputGradWeights::new(self.processor, &self.layout, &self.weights, &(all - inputs..all));
        rayon::join(grad_weights, || self.inference_weights()).0
    }
}

/// Puts the outputs of networks, `[outputs, rows]` each, on a tape, owned by the first output's tensor. The backward
/// passes of the networks run concurrently and add the gradients by their parameters to their slots. The inputs get no
/// gradient.
///
/// A network stores one forward pass: run the backward pass before the next forward one.
pub(crate) fn record_outputs<const N: usize>(
    nets: [&Net; N],
    outputs: [Vec<f32>; N],
    rows: usize,
) -> [Tensor2d<GradTape>; N] {
    let outputs = outputs.map(|output| tensor_2d(output, rows));
    let ghosts = array::from_fn::<_, N, _>(|n| (outputs[n].ghost(), nets[n].grad_slot.ghost()));
    let nets = nets.map(|net| (Arc::clone(&net.layout), Arc::clone(&net.weights), Arc::clone(&net.training_pass)));
    let mut tape = GradTape::default();
    tape.add_backward_op(move |gradients| {
        let mut grads = Vec::with_capacity(N);
        for (output, slot) in &ghosts {
            let output_grad = gradients.get_or_alloc_mut(output)?.to_vec();
            grads.push((output_grad, take(&mut **gradients.get_or_alloc_mut(slot)?)));
        }
        nets.par_iter().zip(&mut grads).for_each(|((layout, weights, pass), (output_grad, gradient))| {
            lock(pass).backward(layout, weights, output_grad, gradient);
        });
        for ((_, slot), (_, gradient)) in ghosts.iter().zip(grads) {
            **gradients.get_or_alloc_mut(slot)? = gradient;
        }
        Ok(())
    });
    let mut tape = Some(tape);
    outputs.map(|output| output.put_tape(tape.take().unwrap_or_default()))
}

/// Computes `max_action * tanh(output)`.
pub(crate) fn scaled_tanh(arch: Arch, output: Tensor2d<GradTape>, max_action: f32) -> Tensor2d<GradTape> {
    let (output, mut tape) = output.split_tape();
    let shape = *output.shape();
    let mut tanh = to_vec(&output, shape);
    tanh.par_chunks_mut(CHUNK_LEN).for_each(|chunk| {
        vectorized(
            arch,
            #[inline(always)]
            || chunk.iter_mut().for_each(|x| *x = elementary::tanh(*x)),
        );
    });
    let action = tensor_2d(tanh.iter().map(|tanh| tanh * max_action).collect(), shape.1);
    let (from, to) = (action.ghost(), output.ghost());
    tape.add_backward_op(move |gradients| {
        let action_grad = gradients.get_or_alloc_mut(&from)?.to_vec();
        let output_grad = gradients.get_or_alloc_mut(&to)?;
        for ((output_grad, action_grad), tanh) in output_grad.iter_mut().zip(action_grad).zip(tanh) {
            *output_grad += action_grad * max_action * (1.0 - tanh * tanh);
        }
        Ok(())
    });
    action.put_tape(tape)
}

/// Computes a critic's values, `[1, rows]`, in inference mode, of `state`, `[S, rows]`, and `action`, `[D, rows]`. The
/// gradient flows to the action only, by the weights of [`Net::input_grad_weights`].
///
/// Since there is one output and rows are independent, that gradient has the size of the action. It is computed in the
/// forward pass, while the activations of a tile of rows are in cache.
pub(crate) fn critic_value(
    critic: &Net,
    grad_weights: &InputGradWeights,
    state: &[f32],
    action: Tensor2d<GradTape>,
) -> Tensor2d<GradTape> {
    let (action, mut tape) = action.split_tape();
    let shape = *action.shape();
    let (dimensions, rows) = shape;
    let width = critic.layout.inputs();
    let action_values = to_vec(&action, shape);
    let network = critic.inference_weights();
    let tile = |[scratch, _]: &mut [InferenceScratch; 2], first: usize| {
        let count = UPDATE_TILE.min(rows - first);
        let input = scratch.input(network, count);
        for (feature, column) in state.chunks_exact(rows).chain(action_values.chunks_exact(rows)).enumerate() {
            let inputs = input[feature..].iter_mut().step_by(width);
            inputs.zip(&column[first..first + count]).for_each(|(input, &value)| *input = value);
        }
        let values = scratch.evaluate(network, count).to_vec();
        (values, scratch.input_grad(network, grad_weights, count).to_vec())
    };
    let firsts: Vec<usize> = (0..rows).step_by(UPDATE_TILE).collect();
    let tiles: Vec<_> = firsts
        .into_par_iter()
        .map(|first| InferenceScratch::with_thread_local(|scratch| tile(scratch, first)))
        .collect();

    let values = tensor_2d(tiles.iter().flat_map(|(values, _)| values).copied().collect(), rows);
    let (from, to) = (values.ghost(), action.ghost());
    tape.add_backward_op(move |gradients| {
        let value_grads = gradients.get_or_alloc_mut(&from)?.to_vec();
        let action_grads = gradients.get_or_alloc_mut(&to)?;
        let local_grads = tiles.iter().flat_map(|(_, grads)| grads.chunks_exact(dimensions));
        for (row, (local_grads, value_grad)) in local_grads.zip(value_grads).enumerate() {
            for (action_grad, local_grad) in action_grads[row..].iter_mut().step_by(rows).zip(local_grads) {
                *action_grad += local_grad * value_grad;
            }
        }
        Ok(())
    });
    values.put_tape(tape)
}

/// A tensor `[features, rows]` of these values.
pub(crate) fn tensor_2d(values: Vec<f32>, rows: usize) -> Tensor2d {
    let shape = (values.len() / rows, rows);
    DfdxCpu::default().tensor_from_vec(values, shape)
}

/// A copy of a tensor's values.
fn to_vec(tensor: &Tensor2d, (features, rows): (usize, usize)) -> Vec<f32> {
    let mut values = vec![0.0; features * rows];
    tensor.copy_into(&mut values);
    values
}

/// Locks a pass. Poisoning is ignored: a pass is only a buffer, valid at every moment at which a thread could panic.
fn lock(pass: &Mutex<TrainingPass>) -> MutexGuard<'_, TrainingPass> {
    pass.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Values that one thread processes at a time.
const CHUNK_LEN: usize = 4096;
