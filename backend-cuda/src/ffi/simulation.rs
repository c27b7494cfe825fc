//! The kernels of the users' side as functions that check their buffers.

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::slate::coprime_stride;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::InsertSpan;
use recsim_core::world::WorldShape;

use super::Device;
use crate::world::USER_MODEL_WORDS;
use crate::{CudaError, Replay};

/// A device, and the sizes for which the kernels were compiled.
pub(crate) struct SimulationKernels<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) clusters: usize,
    pub(crate) dimensions: usize,
    pub(crate) items: usize,
    pub(crate) pretrained_len: usize,
    pub(crate) rl_slots: usize,
    pub(crate) slate_len: usize,
    pub(crate) users: usize,
}

/// The buffers of a batch that responds: `user.cuh`, `UserBatch`.
pub(crate) struct RespondBuffers<'a, D: Device> {
    pub(crate) target: &'a D::DeviceBuffer,
    pub(crate) item: &'a D::DeviceBuffer,
    pub(crate) pretrained: &'a D::DeviceBuffer,
    pub(crate) initial_belief: &'a D::DeviceBuffer,
    pub(crate) slate: &'a mut D::DeviceBuffer,
    /// Items of each slate that are given; the others are filled from the pre-trained list.
    pub(crate) given: usize,
    pub(crate) accepted: &'a mut D::DeviceBuffer,
    pub(crate) belief_before: &'a mut D::DeviceBuffer,
    pub(crate) belief: &'a mut D::DeviceBuffer,
    pub(crate) reward: &'a mut D::DeviceBuffer,
    pub(crate) tally: &'a mut D::DeviceBuffer,
    pub(crate) action: &'a D::DeviceBuffer,
}

/// The items of a search: `recommend.cu`, `ItemMatrix`.
pub(crate) struct ItemMatrix<'a, D: Device> {
    /// `[I, D]`
    pub(crate) rows: &'a D::DeviceBuffer,
    /// The result of [`SimulationKernels::convert_to_fp16`].
    pub(crate) fp16_rows: &'a D::DeviceBuffer,
    /// The rows' [`scale_exponent`](recsim_core::world::error_bound::scale_exponent).
    pub(crate) exponent: i32,
    /// Maximum norm of a row times `2^exponent`.
    pub(crate) max_norm: f64,
}

/// Sums in a tally.
pub(crate) const TALLY_SUMS: usize = 7;
/// Users, and items at a time, of a block of `search_top_k`.
pub(crate) const SEARCH_TILE: usize = 128;
/// Dimensions that `search_top_k` has in shared memory at a time.
const CHUNK_DIMENSIONS: usize = 64;
/// Counts of accepted items, one for each cluster of a user, that fit into the shared memory of a block of `respond`.
pub(crate) const MAX_CLUSTER_COUNTS: usize = 12_288;
/// Bytes of a `float` or `unsigned`.
pub(crate) const WORD_BYTES: usize = 4;
/// Bytes of an `unsigned long long` or `double`.
pub(crate) const LONG_BYTES: usize = 8;

impl<'a, D: Device> SimulationKernels<'a, D> {
    pub(crate) fn new(device: &'a D, shape: &WorldShape, environment: &EnvironmentSpec) -> Self {
        let &WorldShape { users, items, clusters, dimensions, pretrained_len } = shape;
        let &EnvironmentSpec { rl_slots, slate_len, .. } = environment;
        Self { device, clusters, dimensions, items, pretrained_len, rl_slots, slate_len, users }
    }

    /// Computes the states of the `count` users from `first` on.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn observe(
        &self,
        module: &D::Module,
        (first, count): (usize, usize),
        (belief, scale): (&D::DeviceBuffer, &D::DeviceBuffer),
        embedding: &D::DeviceBuffer,
        state: &mut D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let width = self.clusters + self.dimensions;
        self.check_len(belief, count * self.clusters * WORD_BYTES);
        self.check_len(scale, self.clusters * WORD_BYTES);
        self.check_len(embedding, self.users * self.dimensions * WORD_BYTES);
        self.check_len(state, count * width * WORD_BYTES);
        assert!(first + count <= self.users, "users of the world");
        let arguments: [&[u8]; 6] = [
            &u32_bytes(first),
            &u32_bytes(count),
            &self.device.address(belief).to_ne_bytes(),
            &self.device.address(scale).to_ne_bytes(),
            &self.device.address(embedding).to_ne_bytes(),
            &self.device.address(state).to_ne_bytes(),
        ];
        // SAFETY: `observe.cu`'s arguments; by the checks above all accesses are within the buffers.
        unsafe { self.device.launch_kernel(module, "observe", (count * width).div_ceil(256), 256, &arguments) }
    }

    /// Replaces the actions of users that explore an item. `rows` is `[I, D]`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn explore_items(
        &self,
        module: &D::Module,
        (first, count): (usize, usize),
        exploration: &ItemExploration,
        rows: &D::DeviceBuffer,
        action: &mut D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        self.check_len(rows, self.items * self.dimensions * WORD_BYTES);
        self.check_len(action, count * self.dimensions * WORD_BYTES);
        let arguments: [&[u8]; 8] = [
            &u32_bytes(first),
            &u32_bytes(count),
            &exploration.key.bits().to_ne_bytes(),
            &exploration.probability.to_ne_bytes(),
            &exploration.max_action.to_ne_bytes(),
            &(self.items as u64).to_ne_bytes(),
            &self.device.address(rows).to_ne_bytes(),
            &self.device.address(action).to_ne_bytes(),
        ];
        // SAFETY: `observe.cu`'s arguments; by the checks above all accesses are within the buffers.
        unsafe { self.device.launch_kernel(module, "explore_items", count.div_ceil(256), 256, &arguments) }
    }

    /// Converts the rows of the items times `2^exponent` to fp16, for [`SimulationKernels::recommend`].
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn convert_to_fp16(
        &self,
        module: &D::Module,
        rows: &D::DeviceBuffer,
        exponent: i32,
        fp16_rows: &mut D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let bytes = fp16_bytes(self.items, self.dimensions);
        self.check_len(rows, self.items * self.dimensions * WORD_BYTES);
        self.check_len(fp16_rows, bytes);
        let arguments: [&[u8]; 5] = [
            &self.device.address(rows).to_ne_bytes(),
            &u32_bytes(self.items),
            &u32_bytes(self.items.next_multiple_of(SEARCH_TILE)),
            &exponent.to_ne_bytes(),
            &self.device.address(fp16_rows).to_ne_bytes(),
        ];
        let blocks = (bytes / WORD_BYTES).div_ceil(256);
        // SAFETY: `recommend.cu`'s arguments; by the checks above all accesses are within the buffers.
        unsafe { self.device.launch_kernel(module, "convert_to_fp16", blocks, 256, &arguments) }
    }

    /// Writes the best items for the `count` actions from row `row` on to the first slots of `count` slates. `lists`
    /// is scratch for `num_parts` lists of each user.
    ///
    /// # Errors
    /// A launch fails.
    #[expect(clippy::too_many_arguments, reason = "everything that a search reads and writes")]
    pub(crate) fn recommend(
        &self,
        module: &D::Module,
        (row, count): (usize, usize),
        num_parts: usize,
        action: &D::DeviceBuffer,
        items: &ItemMatrix<'_, D>,
        lists: &D::DeviceBuffer,
        slate: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let &ItemMatrix { rows, fp16_rows, exponent, max_norm } = items;
        self.check_len(action, (row + count) * self.dimensions * WORD_BYTES);
        self.check_len(rows, self.items * self.dimensions * WORD_BYTES);
        self.check_len(fp16_rows, fp16_bytes(self.items, self.dimensions));
        self.check_len(lists, num_parts * count * self.rl_slots * LONG_BYTES);
        self.check_len(slate, count * self.slate_len * WORD_BYTES);
        let tiles = self.items.div_ceil(SEARCH_TILE);
        assert!(
            (1..=tiles).contains(&num_parts) && self.rl_slots <= self.items,
            "parts of a catalogue with enough items"
        );
        let action = (self.device.address(action) + (row * self.dimensions * WORD_BYTES) as u64).to_ne_bytes();
        let [rows, fp16_rows, lists, slate] =
            [rows, fp16_rows, lists, slate].map(|buffer| self.device.address(buffer).to_ne_bytes());
        let (num_users, num_parts_bytes) = (u32_bytes(count), u32_bytes(num_parts));
        let (num_items, stride) = (u32_bytes(self.items), u32_bytes(coprime_stride(tiles)));
        let items = [&rows[..], &fp16_rows, &num_items, &exponent.to_ne_bytes(), &max_norm.to_ne_bytes()].concat();
        let search: [&[u8]; 6] = [&action, &num_users, &items, &num_parts_bytes, &stride, &lists];
        let merge: [&[u8]; 4] = [&num_users, &num_parts_bytes, &lists, &slate];
        let search_blocks = count.div_ceil(SEARCH_TILE) * num_parts;
        // SAFETY: `recommend.cu`'s arguments; by the checks above all accesses are within the buffers.
        unsafe {
            self.device.launch_kernel(module, "search_top_k", search_blocks, 256, &search)?;
            self.device.launch_kernel(module, "merge_top_k", count.div_ceil(256), 256, &merge)
        }
    }

    /// Lets the `count` users from `first` on respond to slates whose first items are given, and stores their
    /// transitions in the rows that the replay buffer has reserved.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn respond(
        &self,
        module: &D::Module,
        (first, count): (usize, usize),
        user_model: &[u32; USER_MODEL_WORDS],
        buffers: &mut RespondBuffers<'_, D>,
        replay: Option<(InsertSpan, &mut Replay<D>)>,
        round: u64,
    ) -> Result<(), CudaError> {
        let RespondBuffers { target, item, pretrained, initial_belief, slate, accepted, .. } = buffers;
        let RespondBuffers { belief_before, belief, reward, tally, action, .. } = buffers;
        let (clusters, dimensions) = (self.clusters, self.dimensions);
        assert!((1..=MAX_CLUSTER_COUNTS).contains(&clusters), "the counts of a user fit into shared memory");
        assert!(first + count <= self.users, "users of the world");
        assert!(buffers.given <= self.slate_len, "given items fit on a slate");
        for (buffer, bytes) in [
            (*target, self.clusters * WORD_BYTES),
            (*item, self.items * 2 * WORD_BYTES),
            (*pretrained, self.users * self.pretrained_len * WORD_BYTES),
            (*initial_belief, self.users * self.clusters * WORD_BYTES),
            (&**slate, count * self.slate_len * WORD_BYTES),
            (&**accepted, count * self.slate_len),
            (&**belief_before, count * self.clusters * WORD_BYTES),
            (&**belief, count * self.clusters * WORD_BYTES),
            (&**reward, count * WORD_BYTES),
            (&**tally, TALLY_SUMS * LONG_BYTES),
            (*action, count * dimensions * WORD_BYTES),
        ] {
            self.check_len(buffer, bytes);
        }
        let mut users = [u32_bytes(first), u32_bytes(count), u32_bytes(buffers.given), u32_bytes(0)].concat();
        let batch = [&**slate, accepted, belief_before, belief, reward, tally, action];
        for buffer in [*target, *item, *pretrained, *initial_belief].into_iter().chain(batch) {
            users.extend(self.device.address(buffer).to_ne_bytes());
        }
        let user_model: Vec<u8> = user_model.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let span = self.insert_span(count, replay);
        let block_users = (MAX_CLUSTER_COUNTS / clusters).min(32);
        let arguments: [&[u8]; 4] = [&user_model, &users, &span, &round.to_ne_bytes()];
        // SAFETY: `respond.cu`'s arguments: structs of words and of addresses, as laid out here. By the checks above
        // all accesses are within the buffers: slates and lists contain items of the world, items clusters of it.
        unsafe { self.device.launch_kernel(module, "respond", count.div_ceil(block_users), 256, &arguments) }
    }

    /// `replay.cuh`, `InsertSpan`: where the transitions of `count` users go; without a replay buffer, nowhere.
    fn insert_span(&self, count: usize, replay: Option<(InsertSpan, &mut Replay<D>)>) -> Vec<u8> {
        let Some((span, replay)) = replay else {
            // All users are skipped.
            return [0, count as u64, 0, 0, 0, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        };
        let capacity = replay.capacity();
        assert!(span.first < capacity && count - span.skipped <= capacity, "rows of the replay buffer");
        let Replay { user, belief_before, belief, action, reward, .. } = replay;
        let mut bytes = Vec::new();
        for value in [capacity, span.skipped, span.first] {
            bytes.extend((value as u64).to_ne_bytes());
        }
        for (buffer, width) in [
            (&*user, 1),
            (belief_before, self.clusters),
            (belief, self.clusters),
            (action, self.dimensions),
            (reward, 1),
        ] {
            self.check_len(buffer, capacity * width * WORD_BYTES);
            bytes.extend(self.device.address(buffer).to_ne_bytes());
        }
        bytes
    }

    /// Panics if a buffer is shorter than `bytes`.
    fn check_len(&self, buffer: &D::DeviceBuffer, bytes: usize) {
        let actual = self.device.buffer_len(buffer);
        assert!(actual >= bytes, "a buffer of {actual} bytes where {bytes} are needed");
    }
}

/// Bytes of the fp16 rows of a catalogue, padded to whole tiles of items and whole chunks of dimensions.
pub(crate) fn fp16_bytes(items: usize, dimensions: usize) -> usize {
    items.next_multiple_of(SEARCH_TILE) * dimensions.next_multiple_of(CHUNK_DIMENSIONS) * 2
}

/// A kernel's `unsigned`.
pub(super) fn u32_bytes(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("sizes of a world fit into u32").to_ne_bytes()
}
