//! SQL texts of statements. Written for what SQLite and PostgreSQL have in common: `$1`, ON CONFLICT,
//! RETURNING, row values. Names come from the declarations of rows alone, values are always bound.

use std::{borrow::Cow, fmt::Write as _, sync::OnceLock};

use super::{
    row::{Column, Table},
    statement::{Action, Cond, Merge, Op, Select, Source, Statement, What},
    value::{Kind, Value},
};

/// Of inserts of as many rows at once the text is kept.
const ROWS_KEPT: usize = 32;

/// The texts that depend on the table alone, built once.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Of whole rows, before the conditions.
    select: String,
    insert: String,
    upsert: String,
    update: String,
    /// By the number of rows.
    insert_all: [OnceLock<String>; ROWS_KEPT + 1],
}

/// The differences between the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A value to bind, with the type of its column: PostgreSQL wants to know of what type a NULL is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param<'v> {
    pub(crate) kind: Kind,
    pub(crate) value: &'v Value,
}

/// The text and the values to bind, in their order.
pub(crate) fn render(statement: &Statement, dialect: Dialect) -> (Cow<'static, str>, Vec<Param<'_>>) {
    let table = statement.table;
    match &statement.action {
        Action::Select(select) => render_select(table, select, dialect),
        Action::Insert(values) => (Cow::Borrowed(&texts(table).insert), row(table, values)),
        Action::InsertAll(rows) => {
            (insert_all(table, rows.len()), rows.iter().flat_map(|values| row(table, values)).collect())
        }
        Action::Upsert(values) => (Cow::Borrowed(&texts(table).upsert), row(table, values)),
        Action::Update { values, guards } => {
            let mut params = row(table, values);
            if guards.is_empty() {
                return (Cow::Borrowed(&texts(table).update), params);
            }
            let mut text = texts(table).update.clone();
            for guard in guards {
                text.push_str(" AND ");
                condition(&mut text, table, "", guard, &mut params);
            }
            (Cow::Owned(text), params)
        }
        Action::Add { column, by, conds } => {
            let name = table.columns[*column].name;
            let mut text = format!("UPDATE {} SET {name} = {name} + $1", table.name);
            let mut params = vec![Param { kind: table.columns[*column].kind, value: by }];
            conditions(&mut text, table, conds, &mut params);
            (Cow::Owned(text), params)
        }
        Action::Merge(merge) => render_merge(table, merge),
        Action::Delete(conds) => {
            let mut text = format!("DELETE FROM {}", table.name);
            let mut params = Vec::new();
            conditions(&mut text, table, conds, &mut params);
            (Cow::Owned(text), params)
        }
        Action::Take(conds) => {
            let mut text = format!("DELETE FROM {}", table.name);
            let mut params = Vec::new();
            conditions(&mut text, table, conds, &mut params);
            let _ = write!(text, " RETURNING {}", names(table, 0..table.columns.len()));
            (Cow::Owned(text), params)
        }
    }
}

/// The values of a whole row.
fn row<'v>(table: &Table, values: &'v [Value]) -> Vec<Param<'v>> {
    table.columns.iter().zip(values).map(|(column, value)| Param { kind: column.kind, value }).collect()
}

fn insert_all(table: &'static Table, rows: usize) -> Cow<'static, str> {
    match texts(table).insert_all.get(rows) {
        Some(text) => Cow::Borrowed(text.get_or_init(|| insert_all_text(table, rows))),
        None => Cow::Owned(insert_all_text(table, rows)),
    }
}

fn insert_all_text(table: &Table, rows: usize) -> String {
    let all = table.columns.len();
    let mut text = format!("INSERT INTO {} ({}) VALUES ", table.name, names(table, 0..all));
    for n in 0..rows * all {
        let before = match (n, n % all) {
            (0, _) => "(",
            (_, 0) => "), (",
            _ => ", ",
        };
        let _ = write!(text, "{before}${}", n + 1);
    }
    text.push_str(") ON CONFLICT DO NOTHING");
    text
}

fn texts(table: &'static Table) -> &'static Texts {
    table.texts.get_or_init(|| {
        let all = table.columns.len();
        let holders: Vec<String> = (1..=all).map(|n| format!("${n}")).collect();
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT",
            table.name,
            names(table, 0..all),
            holders.join(", ")
        );
        let key = names(table, 0..table.key_len);
        // a table of keys alone still has to have something to set, so that the row counts as touched
        let set = if table.key_len == all { 0..1 } else { table.key_len..all };
        let excluded: Vec<String> =
            set.clone().map(|i| format!("{0} = excluded.{0}", table.columns[i].name)).collect();
        let set: Vec<String> = set.map(|i| format!("{} = ${}", table.columns[i].name, i + 1)).collect();
        let same_key: Vec<String> =
            (0..table.key_len).map(|i| format!("{} = ${}", table.columns[i].name, i + 1)).collect();
        Texts {
            select: format!("SELECT {} FROM {}", names(table, 0..all), table.name),
            insert_all: [const { OnceLock::new() }; ROWS_KEPT + 1],
            upsert: format!("{insert} ({key}) DO UPDATE SET {}", excluded.join(", ")),
            insert: format!("{insert} DO NOTHING"),
            update: format!("UPDATE {} SET {} WHERE {}", table.name, set.join(", "), same_key.join(" AND ")),
        }
    })
}

fn render_select<'v>(
    table: &'static Table,
    select: &'v Select,
    dialect: Dialect,
) -> (Cow<'static, str>, Vec<Param<'v>>) {
    let mut text = match select.what {
        What::Rows => texts(table).select.clone(),
        What::Count => format!("SELECT COUNT(*) FROM {}", table.name),
        What::Distinct(column) => {
            format!("SELECT DISTINCT {} FROM {}", table.columns[column].name, table.name)
        }
    };
    let mut params = Vec::new();
    conditions(&mut text, table, &select.conds, &mut params);
    if select.what == What::Count {
        return (Cow::Owned(text), params);
    }
    let order = names(table, select.order.iter().copied());
    if let Some(after) = &select.after {
        let holders: Vec<String> = (1..=after.len()).map(|n| format!("${}", params.len() + n)).collect();
        let word = if params.is_empty() { "WHERE" } else { "AND" };
        let than = if select.descending { '<' } else { '>' };
        let _ = write!(text, " {word} ({order}) {than} ({})", holders.join(", "));
        let columns = select.order.iter().map(|&i| table.columns[i].kind);
        params.extend(columns.zip(after).map(|(kind, value)| Param { kind, value }));
    }
    if !select.order.is_empty() {
        let direction = if select.descending { " DESC" } else { "" };
        let columns: Vec<String> = select
            .order
            .iter()
            .map(|&i| {
                let column = &table.columns[i];
                format!("{}{direction}{}", column.name, nulls(column, select.descending, dialect))
            })
            .collect();
        let _ = write!(text, " ORDER BY {}", columns.join(", "));
    }
    let _ = write!(text, " LIMIT {}", select.limit);
    match (dialect, select.lock) {
        (Dialect::Postgres, true) => text.push_str(" FOR UPDATE"),
        // SQLite has one writer at a time: whoever writes holds all locks already
        (Dialect::Sqlite, true) | (Dialect::Sqlite | Dialect::Postgres, false) => {}
    }
    (Cow::Owned(text), params)
}

/// Where NULL stands in an order: SQLite takes it for the smallest value, PostgreSQL for the largest unless told.
fn nulls(column: &Column, descending: bool, dialect: Dialect) -> &'static str {
    match (dialect, column.nullable, descending) {
        (Dialect::Postgres, true, false) => " NULLS FIRST",
        (Dialect::Postgres, true, true) => " NULLS LAST",
        (Dialect::Postgres, false, _) | (Dialect::Sqlite, _, _) => "",
    }
}

/// `UPDATE … FROM`, as both databases know it. The conditions are said of both tables: a range is not carried over
/// from one to the other by every planner.
fn render_merge<'v>(table: &'static Table, merge: &'v Merge) -> (Cow<'static, str>, Vec<Param<'v>>) {
    let (own, other) = (table.name, merge.from);
    let mut params = Vec::new();
    let set: Vec<String> = merge
        .set
        .iter()
        .map(|(column, source)| {
            let name = table.columns[*column].name;
            match source {
                Source::Value(value) => {
                    params.push(Param { kind: table.columns[*column].kind, value });
                    format!("{name} = ${}", params.len())
                }
                Source::Other(from) => format!("{name} = s.{}", other.columns[*from].name),
                Source::OtherOrKept(from) => {
                    format!("{name} = COALESCE(s.{}, {own}.{name})", other.columns[*from].name)
                }
                Source::LengthOrKept(from) => {
                    format!("{name} = COALESCE(length(s.{}), {own}.{name})", other.columns[*from].name)
                }
            }
        })
        .collect();
    let same: Vec<String> =
        table.columns[..table.key_len].iter().map(|key| format!("s.{0} = {own}.{0}", key.name)).collect();
    let mut text =
        format!("UPDATE {own} SET {} FROM {} AS s WHERE {}", set.join(", "), other.name, same.join(" AND "));
    if let Some(given) = merge.given {
        let _ = write!(text, " AND s.{} IS NOT NULL", other.columns[given].name);
    }
    for cond in &merge.conds {
        for (table, of) in [(table, own), (other, "s")] {
            text.push_str(" AND ");
            condition(&mut text, table, of, cond, &mut params);
        }
    }
    (Cow::Owned(text), params)
}

fn conditions<'v>(text: &mut String, table: &Table, conds: &'v [Cond], params: &mut Vec<Param<'v>>) {
    for (n, cond) in conds.iter().enumerate() {
        text.push_str(if n == 0 { " WHERE " } else { " AND " });
        condition(text, table, "", cond, params);
    }
}

/// One condition; `of` says of which table where there are two.
fn condition<'v>(text: &mut String, table: &Table, of: &str, cond: &'v Cond, params: &mut Vec<Param<'v>>) {
    let Column { name, kind, .. } = table.columns[cond.column];
    if !of.is_empty() {
        let _ = write!(text, "{of}.");
    }
    let op = match (cond.op, &cond.value) {
        (Op::Eq, Value::Null) => {
            let _ = write!(text, "{name} IS NULL");
            return;
        }
        (Op::Eq, _) => "=",
        (Op::Le, _) => "<=",
        (Op::Gt, _) => ">",
    };
    params.push(Param { kind, value: &cond.value });
    let _ = write!(text, "{name} {op} ${}", params.len());
}

fn names(table: &Table, columns: impl IntoIterator<Item = usize>) -> String {
    columns.into_iter().map(|i| table.columns[i].name).collect::<Vec<_>>().join(", ")
}
