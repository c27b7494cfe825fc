//! Where a round happens: what is needed of users only while they are served, and until others are.

use crate::Batch;
use crate::error::{CpuError, resize};

/// The tables of a batch's round, row-major, a row a user.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The batch whose round it is or was; 0 if nobody's.
    batch: u64,
    /// Whether another batch may have the room: the round is over, or was never begun.
    pub(crate) over: bool,
    /// `[users, K + D]`
    pub(crate) state: Vec<f32>,
    /// `[users, D]`
    pub(crate) action: Vec<f32>,
    /// `[users, shown]`
    pub(crate) slate: Vec<u32>,
    /// `[users, shown]`
    pub(crate) accepted: Vec<bool>,
    /// `[users, K]`, before the round
    pub(crate) belief_before: Vec<f32>,
}

/// Rooms there are: one, unless somebody has batches take turns in the midst of a round.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Vec<Room>);

impl Rooms {
    /// The batch's room, if it still has it.
    pub(crate) fn of(&mut self, batch: &Batch) -> Option<&mut Room> {
        self.0.iter_mut().find(|room| room.batch == batch.number)
    }

    /// The batch's room; if it has none, one that is free, or a new one. There nothing has happened yet.
    pub(crate) fn enter(&mut self, batch: &Batch) -> Result<&mut Room, CpuError> {
        let (room, is_own) = self.find(batch)?;
        if !is_own {
            room.state.fill(0.0);
            room.action.fill(0.0);
            room.slate.fill(0);
            room.accepted.fill(false);
        }
        Ok(room)
    }

    /// The same for a round that begins: what others left in the room, it will write over.
    pub(crate) fn begin(&mut self, batch: &Batch) -> Result<&mut Room, CpuError> {
        let (room, _) = self.find(batch)?;
        room.over = false;
        Ok(room)
    }

    /// A room, and whether it was the batch's.
    fn find(&mut self, batch: &Batch) -> Result<(&mut Room, bool), CpuError> {
        let rooms = &mut self.0;
        let own = rooms.iter().position(|room| room.batch == batch.number);
        let place = own.or_else(|| rooms.iter().position(|room| room.over)).unwrap_or(rooms.len());
        if place == rooms.len() {
            rooms.push(Room::default());
        }
        let room = &mut rooms[place];
        if own.is_none() {
            room.furnish(batch)?;
        }
        Ok((room, own.is_some()))
    }
}

impl Room {
    /// Makes the tables the batch's in size.
    fn furnish(&mut self, batch: &Batch) -> Result<(), CpuError> {
        let Batch { number, dimensions, shown, .. } = *batch;
        let users = batch.users.len();
        // Until all is there, it is nobody's.
        (self.batch, self.over) = (0, true);
        resize("states", &mut self.state, batch.belief.len() + users * dimensions, 0.0)?;
        resize("actions", &mut self.action, users * dimensions, 0.0)?;
        resize("slates", &mut self.slate, users * shown, 0)?;
        resize("acceptances", &mut self.accepted, users * shown, false)?;
        resize("beliefs", &mut self.belief_before, batch.belief.len(), 0.0)?;
        self.belief_before.copy_from_slice(&batch.belief);
        self.batch = number;
        Ok(())
    }
}
