//! Guardians and ceremonies, from the client's cryptography to the rows.

mod address;
mod alerts;
mod changes;
mod circle;
mod crash;
mod drills;
mod dumps;
mod flow;
mod foreign;
mod holders;
mod inbox;
mod keys;
mod mutual;
mod narrowed;
mod overrides;
mod races;
mod refusals;
mod reminders;
mod rewrap;
mod sessions;
mod shares;
mod steps;
mod stops;
mod suspended;
mod watch;
mod ways_round;
