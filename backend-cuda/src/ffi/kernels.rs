//! Every kernel as a function that checks the tables it is given.

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::slate::coprime_stride;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::InsertSpan;
use recsim_core::world::WorldShape;

use super::Machine;
use crate::{CudaError, Replay};

/// A world's tables and constants that the kernels look at.
pub(crate) struct Site<'a, M: Machine> {
    pub(crate) machine: &'a M,
    pub(crate) clusters: usize,
    pub(crate) dimensions: usize,
    pub(crate) items: usize,
    pub(crate) list: usize,
    pub(crate) chosen: usize,
    pub(crate) shown: usize,
    pub(crate) users: usize,
}

/// The tables of a batch's users.
pub(crate) struct Tables<'a, M: Machine> {
    pub(crate) target: &'a M::Memory,
    pub(crate) item: &'a M::Memory,
    pub(crate) pretrained: &'a M::Memory,
    pub(crate) initial: &'a M::Memory,
    pub(crate) slate: &'a mut M::Memory,
    /// Items of each slate that are there; the others are filled in.
    pub(crate) given: usize,
    pub(crate) accepted: &'a mut M::Memory,
    pub(crate) belief_before: &'a mut M::Memory,
    pub(crate) belief: &'a mut M::Memory,
    pub(crate) reward: &'a mut M::Memory,
    pub(crate) tally: &'a mut M::Memory,
    pub(crate) action: &'a M::Memory,
}

/// A catalogue as `recommend.cu` has it.
pub(crate) struct Catalogue<'a, M: Machine> {
    /// `[I, D]`
    pub(crate) rows: &'a M::Memory,
    /// What [`Site::halve`] makes of them.
    pub(crate) halves: &'a M::Memory,
    /// The rows' [`exponent`](recsim_core::world::error_bound::exponent).
    pub(crate) exponent: i32,
    /// The length of the longest row, scaled by it.
    pub(crate) longest: f64,
}

/// Sums in a tally.
pub(crate) const SUMS: usize = 7;
/// Users, and items at a time, that one block of `scan` serves.
pub(crate) const TILE: usize = 128;
/// Dimensions that `scan` has at hand at a time.
const DEPTH: usize = 64;
/// Numbers of accepted items that one block of `respond` has room for, a cluster of a user each.
pub(crate) const MOST_COUNTS: usize = 12_288;
/// Bytes of a number, and of a rank or a sum.
pub(crate) const WORD: usize = 4;
pub(crate) const LONG: usize = 8;

impl<'a, M: Machine> Site<'a, M> {
    pub(crate) fn new(machine: &'a M, shape: &WorldShape, environment: &EnvironmentSpec) -> Self {
        let &WorldShape { users, items, clusters, dimensions, pretrained_len: list } = shape;
        let &EnvironmentSpec { rl_slots: chosen, slate_len: shown, .. } = environment;
        Self { machine, clusters, dimensions, items, list, chosen, shown, users }
    }

    /// Lays out the states of the `count` users from `first` on.
    pub(crate) fn observe(
        &self,
        module: &M::Module,
        (first, count): (usize, usize),
        (belief, scale): (&M::Memory, &M::Memory),
        embedding: &M::Memory,
        state: &mut M::Memory,
    ) -> Result<(), CudaError> {
        let width = self.clusters + self.dimensions;
        self.holds(belief, count * self.clusters * WORD);
        self.holds(scale, self.clusters * WORD);
        self.holds(embedding, self.users * self.dimensions * WORD);
        self.holds(state, count * width * WORD);
        assert!(first + count <= self.users, "users of the world");
        let arguments: [&[u8]; 6] = [
            &word(first),
            &word(count),
            &self.machine.address(belief).to_ne_bytes(),
            &self.machine.address(scale).to_ne_bytes(),
            &self.machine.address(embedding).to_ne_bytes(),
            &self.machine.address(state).to_ne_bytes(),
        ];
        // SAFETY: `observe.cu`'s arguments; by the assertions every place it touches lies in its table.
        unsafe { self.machine.launch(module, "observe", (count * width).div_ceil(256), 256, &arguments) }
    }

    /// Has users explore items, whose `rows` are `[I, D]`: their actions are replaced.
    pub(crate) fn explore_items(
        &self,
        module: &M::Module,
        (first, count): (usize, usize),
        trial: &ItemExploration,
        rows: &M::Memory,
        action: &mut M::Memory,
    ) -> Result<(), CudaError> {
        self.holds(rows, self.items * self.dimensions * WORD);
        self.holds(action, count * self.dimensions * WORD);
        let arguments: [&[u8]; 8] = [
            &word(first),
            &word(count),
            &trial.key.bits().to_ne_bytes(),
            &trial.probability.to_ne_bytes(),
            &trial.max_action.to_ne_bytes(),
            &(self.items as u64).to_ne_bytes(),
            &self.machine.address(rows).to_ne_bytes(),
            &self.machine.address(action).to_ne_bytes(),
        ];
        // SAFETY: `observe.cu`'s arguments; by the assertions every place the kernel touches lies in its table.
        unsafe { self.machine.launch(module, "explore_items", count.div_ceil(256), 256, &arguments) }
    }

    /// The rows of a catalogue as halves, for [`Site::recommend`].
    pub(crate) fn halve(
        &self,
        module: &M::Module,
        rows: &M::Memory,
        exponent: i32,
        halves: &mut M::Memory,
    ) -> Result<(), CudaError> {
        self.holds(rows, self.items * self.dimensions * WORD);
        self.holds(halves, bytes_of_halves(self.items, self.dimensions));
        let arguments: [&[u8]; 5] = [
            &self.machine.address(rows).to_ne_bytes(),
            &word(self.items),
            &word(self.items.next_multiple_of(TILE)),
            &exponent.to_ne_bytes(),
            &self.machine.address(halves).to_ne_bytes(),
        ];
        let words = bytes_of_halves(self.items, self.dimensions) / WORD;
        // SAFETY: `recommend.cu`'s arguments; by the assertions every place the kernel touches lies in its table.
        unsafe { self.machine.launch(module, "halve", words.div_ceil(256), 256, &arguments) }
    }

    /// The best items for `count` actions from row `row` on, in the first places of as many slates. `lists` is room for
    /// `parts` lists a user.
    #[expect(clippy::too_many_arguments, reason = "everything that a search touches")]
    pub(crate) fn recommend(
        &self,
        module: &M::Module,
        (row, count): (usize, usize),
        parts: usize,
        action: &M::Memory,
        catalogue: &Catalogue<'_, M>,
        lists: &M::Memory,
        slate: &M::Memory,
    ) -> Result<(), CudaError> {
        let &Catalogue { rows, halves, exponent, longest } = catalogue;
        self.holds(action, (row + count) * self.dimensions * WORD);
        self.holds(rows, self.items * self.dimensions * WORD);
        self.holds(halves, bytes_of_halves(self.items, self.dimensions));
        self.holds(lists, parts * count * self.chosen * LONG);
        self.holds(slate, count * self.shown * WORD);
        let tiles = self.items.div_ceil(TILE);
        assert!(
            (1..=tiles).contains(&parts) && self.chosen <= self.items,
            "parts of a catalogue with items enough"
        );
        let action = (self.machine.address(action) + (row * self.dimensions * WORD) as u64).to_ne_bytes();
        let [rows, halves, lists, slate] =
            [rows, halves, lists, slate].map(|memory| self.machine.address(memory).to_ne_bytes());
        let (count_word, parts_word, stride) = (word(count), word(parts), word(coprime_stride(tiles)));
        let (items, exponent) = (word(self.items), exponent.to_ne_bytes());
        let catalogue = [&rows[..], &halves, &items, &exponent, &longest.to_ne_bytes()].concat();
        let scan: [&[u8]; 6] = [&action, &count_word, &catalogue, &parts_word, &stride, &lists];
        let merge: [&[u8]; 4] = [&count_word, &parts_word, &lists, &slate];
        // SAFETY: `recommend.cu`'s arguments; by the assertions every place the kernels touch lies in its table.
        unsafe {
            self.machine.launch(module, "scan", count.div_ceil(TILE) * parts, 256, &scan)?;
            self.machine.launch(module, "merge", count.div_ceil(256), 256, &merge)
        }
    }

    /// Lets the `count` users from `first` on respond to slates whose first places are given, and writes their
    /// transitions to places that the ring has just given them.
    pub(crate) fn respond(
        &self,
        module: &M::Module,
        (first, count): (usize, usize),
        rules: &[u32; 13],
        tables: &mut Tables<'_, M>,
        replay: Option<(InsertSpan, &mut Replay<M>)>,
        round: u64,
    ) -> Result<(), CudaError> {
        let Tables { target, item, pretrained, initial, slate, accepted, .. } = tables;
        let Tables { belief_before, belief, reward, tally, action, .. } = tables;
        let (clusters, dimensions) = (self.clusters, self.dimensions);
        assert!((1..=MOST_COUNTS).contains(&clusters), "clusters that a block has room for");
        assert!(first + count <= self.users, "users of the world");
        assert!(tables.given <= self.shown, "items that a slate has room for");
        for (table, bytes) in [
            (*target, self.clusters * WORD),
            (*item, self.items * 2 * WORD),
            (*pretrained, self.users * self.list * WORD),
            (*initial, self.users * self.clusters * WORD),
            (&**slate, count * self.shown * WORD),
            (&**accepted, count * self.shown),
            (&**belief_before, count * self.clusters * WORD),
            (&**belief, count * self.clusters * WORD),
            (&**reward, count * WORD),
            (&**tally, SUMS * LONG),
            (*action, count * dimensions * WORD),
        ] {
            self.holds(table, bytes);
        }
        let mut users = [word(first), word(count), word(tables.given), word(0)].concat();
        let batch = [&**slate, accepted, belief_before, belief, reward, tally, action];
        for table in [*target, *item, *pretrained, *initial].into_iter().chain(batch) {
            users.extend(self.machine.address(table).to_ne_bytes());
        }
        let rules: Vec<u8> = rules.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let ring = self.ring(count, replay);
        let users_of_a_block = (MOST_COUNTS / clusters).min(32);
        let arguments: [&[u8]; 4] = [&rules, &users, &ring, &round.to_ne_bytes()];
        // SAFETY: `respond.cu`'s arguments: structs of words and of addresses, as laid out here. By the assertions every
        // place it touches lies in its table: slates and lists hold items of the world, items clusters of it.
        unsafe { self.machine.launch(module, "respond", count.div_ceil(users_of_a_block), 256, &arguments) }
    }

    /// A `Span` of `respond.cu`: a ring and where the transitions of `count` users go, if they go anywhere.
    fn ring(&self, count: usize, replay: Option<(InsertSpan, &mut Replay<M>)>) -> Vec<u8> {
        let Some((span, replay)) = replay else {
            // No ring: everybody is skipped.
            return [0, count as u64, 0, 0, 0, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        };
        let capacity = replay.capacity();
        assert!(span.first < capacity && count - span.skipped <= capacity, "places of the ring");
        let Replay { user, belief_before, belief, action, reward, .. } = replay;
        let mut ring = Vec::new();
        for number in [capacity, span.skipped, span.first] {
            ring.extend((number as u64).to_ne_bytes());
        }
        for (table, width) in [
            (&*user, 1),
            (belief_before, self.clusters),
            (belief, self.clusters),
            (action, self.dimensions),
            (reward, 1),
        ] {
            self.holds(table, capacity * width * WORD);
            ring.extend(self.machine.address(table).to_ne_bytes());
        }
        ring
    }

    fn holds(&self, memory: &M::Memory, bytes: usize) {
        let found = self.machine.length(memory);
        assert!(found >= bytes, "a table of {found} bytes where {bytes} are needed");
    }
}

/// Bytes of a catalogue's halves: rows up to whole tiles, of dimensions up to whole chunks.
pub(crate) fn bytes_of_halves(items: usize, dimensions: usize) -> usize {
    items.next_multiple_of(TILE) * dimensions.next_multiple_of(DEPTH) * 2
}

/// A number as a kernel's `unsigned`.
fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("worlds count by u32").to_ne_bytes()
}
