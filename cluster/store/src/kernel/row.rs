//! Rows: one declaration per table, typed columns, and the traits that keep tenants apart.
//!
//! A [`TenantRow`] is written through a [`FencedTx`](crate::FencedTx) alone, which adds its own tenant to
//! every statement; a row type of the cluster or the directory does not fit in there at all.

use std::{marker::PhantomData, sync::OnceLock};

use ocmt_types::TenantId;

use super::{
    filter::Col,
    value::{Field, Kind, Value},
};
use crate::StoreError;

/// One column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its name, the field's name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it takes NULL.
    pub nullable: bool,
}

/// A table as its row type declares it.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// All columns; the first [`Table::key_len`] are the primary key.
    pub columns: &'static [Column],
    /// How many of the columns are the primary key.
    pub key_len: usize,
    /// Whether rows belong to a tenant; then the first column is `tenant_id`.
    pub of_tenant: bool,
    /// Sets of columns that are unique besides the key.
    pub unique: &'static [&'static [&'static str]],
    /// Sets of columns with an index.
    pub indexed: &'static [&'static [&'static str]],
    pub(crate) texts: OnceLock<super::sql::Texts>,
}

impl Table {
    /// The place of a column.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A typed row of one table. Implemented by `rows!` only.
pub trait Row: Clone + Send + Sync + 'static {
    /// The primary key, without the tenant for rows of a tenant: `()`, one field, or a tuple.
    type Key: Clone + Send + Sync + 'static;
    /// All columns in order, the key first.
    const COLUMNS: &'static [Column];
    /// The table.
    fn table() -> &'static Table;
    /// This row's key.
    fn key(&self) -> Self::Key;
    /// The values of a key, in the order of the columns, without the tenant.
    fn key_values(key: &Self::Key) -> Vec<Value>;
    /// All values, in the order of the columns.
    fn to_values(&self) -> Vec<Value>;
    /// The row of these values.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a value does not fit its column.
    fn from_values(values: Vec<Value>) -> Result<Self, StoreError>;
}

/// A row that belongs to one tenant. The key begins with the tenant.
pub trait TenantRow: Row {
    /// Whose row this is.
    fn tenant(&self) -> TenantId;
}

/// The place of the column called `name`; fails to compile when used in a constant and there is none.
pub const fn column_index(columns: &[Column], name: &str) -> usize {
    let mut index = 0;
    while index < columns.len() {
        if same(columns[index].name.as_bytes(), name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("no such column")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

impl<R: Row, T: Field> Col<R, T> {
    /// The column of `R` called `name`. For the macro.
    #[doc(hidden)]
    pub const fn named(name: &str) -> Self {
        Self { index: column_index(R::COLUMNS, name), row: PhantomData }
    }
}

/// The next value as a field of `table`. For the macro.
#[doc(hidden)]
pub fn next_field<T: Field>(
    values: &mut std::vec::IntoIter<Value>,
    table: &'static str,
    column: &'static str,
) -> Result<T, StoreError> {
    values.next().and_then(T::from_value).ok_or_else(|| StoreError::Corrupt {
        table,
        what: format!("column {column} holds no value of its type"),
    })
}

/// Declares row types. Each becomes a struct with public fields, a constant per column
/// (`User::email`, a [`Col`]), and its [`Row`] implementation.
///
/// ```ignore
/// rows! {
///     /// What one row is.
///     pub struct Link: tenant("links") {
///         key { /// Doc.
///             token_hash: Digest32 }
///         /// Doc.
///         user_id: UserId,
///     } unique(user_id, purpose) index(expires_at);
/// }
/// ```
macro_rules! rows {
    () => {};
    (
        $(#[$doc:meta])* pub struct $name:ident: tenant($table:literal) {
            key { $($(#[$kdoc:meta])* $k:ident: $kt:ty),* $(,)? }
            $($(#[$fdoc:meta])* $f:ident: $ft:ty),* $(,)?
        } $(unique($($u:ident),+))* $(index($($i:ident),+))*;
        $($rest:tt)*
    ) => {
        rows!(@row [$(#[$doc])*] $name $table true
            { #[doc = "Whose row this is."] tenant_id: ocmt_types::TenantId }
            { $($(#[$kdoc])* $k: $kt),* } { $($(#[$fdoc])* $f: $ft),* } { $(($($u),+))* } { $(($($i),+))* });
        impl $crate::kernel::row::TenantRow for $name {
            fn tenant(&self) -> ocmt_types::TenantId {
                self.tenant_id
            }
        }
        rows!($($rest)*);
    };
    (
        $(#[$doc:meta])* pub struct $name:ident: global($table:literal) {
            key { $($(#[$kdoc:meta])* $k:ident: $kt:ty),* $(,)? }
            $($(#[$fdoc:meta])* $f:ident: $ft:ty),* $(,)?
        } $(unique($($u:ident),+))* $(index($($i:ident),+))*;
        $($rest:tt)*
    ) => {
        rows!(@row [$(#[$doc])*] $name $table false
            { } { $($(#[$kdoc])* $k: $kt),* } { $($(#[$fdoc])* $f: $ft),* } { $(($($u),+))* } { $(($($i),+))* });
        rows!($($rest)*);
    };
    (@row [$($doc:tt)*] $name:ident $table:literal $of_tenant:literal
        { $($(#[$tdoc:meta])* $t:ident: $tt:ty),* } { $($(#[$kdoc:meta])* $k:ident: $kt:ty),* }
        { $($(#[$fdoc:meta])* $f:ident: $ft:ty),* } { $(($($u:ident),+))* } { $(($($i:ident),+))* }) => {
        $($doc)*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$tdoc])* pub $t: $tt,)*
            $($(#[$kdoc])* pub $k: $kt,)*
            $($(#[$fdoc])* pub $f: $ft,)*
        }

        #[allow(non_upper_case_globals, reason = "a column is named like its field")]
        impl $name {
            $(#[doc = concat!("The column `", stringify!($t), "`.")]
            pub const $t: $crate::Col<Self, $tt> = $crate::Col::named(stringify!($t));)*
            $(#[doc = concat!("The column `", stringify!($k), "`.")]
            pub const $k: $crate::Col<Self, $kt> = $crate::Col::named(stringify!($k));)*
            $(#[doc = concat!("The column `", stringify!($f), "`.")]
            pub const $f: $crate::Col<Self, $ft> = $crate::Col::named(stringify!($f));)*
        }

        #[allow(unused_parens, unused_variables, clippy::clone_on_copy, clippy::unused_unit, reason = "keys have none, one or several fields")]
        impl $crate::kernel::row::Row for $name {
            type Key = ($($kt),*);
            const COLUMNS: &'static [$crate::kernel::row::Column] = &[
                $(rows!(@column $t $tt),)* $(rows!(@column $k $kt),)* $(rows!(@column $f $ft),)*
            ];
            fn table() -> &'static $crate::kernel::row::Table {
                static TABLE: $crate::kernel::row::Table = $crate::kernel::row::Table {
                    name: $table,
                    columns: <$name as $crate::kernel::row::Row>::COLUMNS,
                    key_len: 0 $(+ { let _ = stringify!($t); 1 })* $(+ { let _ = stringify!($k); 1 })*,
                    of_tenant: $of_tenant,
                    unique: &[$(&[$(stringify!($u)),+]),*],
                    indexed: &[$(&[$(stringify!($i)),+]),*],
                    texts: std::sync::OnceLock::new(),
                };
                &TABLE
            }
            fn key(&self) -> Self::Key {
                ($(self.$k.clone()),*)
            }
            fn key_values(key: &Self::Key) -> Vec<$crate::kernel::value::Value> {
                let ($($k),*) = key;
                vec![$($crate::kernel::value::Field::to_value($k)),*]
            }
            fn to_values(&self) -> Vec<$crate::kernel::value::Value> {
                vec![
                    $($crate::kernel::value::Field::to_value(&self.$t),)*
                    $($crate::kernel::value::Field::to_value(&self.$k),)*
                    $($crate::kernel::value::Field::to_value(&self.$f),)*
                ]
            }
            fn from_values(values: Vec<$crate::kernel::value::Value>) -> Result<Self, $crate::StoreError> {
                let mut values = values.into_iter();
                Ok(Self {
                    $($t: $crate::kernel::row::next_field(&mut values, $table, stringify!($t))?,)*
                    $($k: $crate::kernel::row::next_field(&mut values, $table, stringify!($k))?,)*
                    $($f: $crate::kernel::row::next_field(&mut values, $table, stringify!($f))?,)*
                })
            }
        }
    };
    (@column $name:ident $type:ty) => {
        $crate::kernel::row::Column {
            name: stringify!($name),
            kind: <$type as $crate::kernel::value::Field>::KIND,
            nullable: <$type as $crate::kernel::value::Field>::NULLABLE,
        }
    };
}
pub(crate) use rows;
