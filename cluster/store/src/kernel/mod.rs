//! The kernel: typed rows over tables, and the few statements that areas and actors build on.
//!
//! A row type is declared once ([`rows!`](crate::kernel::row)); from that declaration come the SQL texts,
//! the shape of the in-memory store, and the check against the migrations. All statements are plain
//! values ([`statement::Statement`]): a database renders them as SQL ([`sql`]), the sim interprets them.

pub mod filter;
pub mod row;
pub(crate) mod sql;
pub(crate) mod statement;
pub mod value;
