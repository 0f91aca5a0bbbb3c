//! The database as the nodes use it: leases, the owner of the one tenant, and the tenant's value.

use ocmt_types::Incarnation;

/// A life of a node, numbered in the order of their births.
pub(crate) type Life = u8;

/// The lease row of one life.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseRow {
    /// Whose.
    pub life: Life,
    /// On which machine.
    pub machine: usize,
    /// Its counter.
    pub renewals: i64,
    /// Whether that life is dead.
    pub ended: bool,
}

/// What is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    /// Grows with registrations and deaths.
    pub view_version: i64,
    /// One row for each life.
    pub leases: Vec<LeaseRow>,
    /// The owner of the tenant.
    pub owner: Option<Life>,
    /// Of its last claim.
    pub epoch: i64,
    /// How many writes were committed to the tenant.
    pub value: u8,
}

impl Database {
    /// A new one.
    pub const fn new() -> Self {
        Self { view_version: 1, leases: Vec::new(), owner: None, epoch: 0, value: 0 }
    }

    /// The lease of a life that is not dead.
    pub fn held(&mut self, life: Life) -> Option<&mut LeaseRow> {
        self.leases.iter_mut().find(|row| row.life == life && !row.ended)
    }

    /// Registers a life and buries the earlier ones of its machine.
    pub fn register(&mut self, life: Life, machine: usize) {
        for row in self.leases.iter_mut().filter(|row| row.machine == machine) {
            row.ended = true;
        }
        self.leases.retain(|row| row.life != life);
        self.leases.push(LeaseRow { life, machine, renewals: 0, ended: false });
        self.view_version += 1;
    }

    /// Renews; none if that life is dead.
    pub fn renew(&mut self, life: Life) -> Option<i64> {
        let row = self.held(life)?;
        row.renewals += 1;
        Some(row.renewals)
    }

    /// Declares a life dead whose counter stands at `seen`.
    pub fn declare_dead(&mut self, by: Life, life: Life, seen: i64) {
        if self.held(by).is_some()
            && let Some(row) = self.held(life).filter(|row| row.renewals == seen)
        {
            row.ended = true;
            self.view_version += 1;
        }
    }

    /// Claims the tenant for a life that is not dead, if its owner is; the new epoch.
    pub fn claim(&mut self, life: Life) -> Option<i64> {
        self.held(life)?;
        if let Some(owner) = self.owner
            && owner != life
            && self.held(owner).is_some()
        {
            return None;
        }
        self.owner = Some(life);
        self.epoch += 1;
        Some(self.epoch)
    }

    /// The counters that an observer sees.
    pub fn counters(&self) -> impl Iterator<Item = (Incarnation, i64)> {
        let held = self.leases.iter().filter(|row| !row.ended);
        held.map(|row| (incarnation(row.life), row.renewals))
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

/// The incarnation of a life.
pub(crate) const fn incarnation(life: Life) -> Incarnation {
    Incarnation([life; 16])
}
