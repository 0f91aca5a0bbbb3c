//! End-to-end tests: real nodes as processes of their own, spoken to as their users would. All are in
//! `tests/`; each has a node and a folder of its own, and uses the `process` runtime unless Docker is the point.
