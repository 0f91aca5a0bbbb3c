//! SQL texts of statements. Written for what SQLite and PostgreSQL have in common: `$1`, ON CONFLICT,
//! RETURNING, row values. Names come from the declarations of rows alone, values are always bound.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    row::Table,
    statement::{Action, Cond, Op, Select, Statement, What},
    value::Value,
};

/// The texts that depend on the table alone, built once.
#[derive(Debug)]
pub(crate) struct Texts {
    insert: String,
    upsert: String,
    update: String,
}

/// The differences between the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
}

/// The text and the values to bind, in their order.
pub(crate) fn render(statement: &Statement, dialect: Dialect) -> (Cow<'static, str>, Vec<&Value>) {
    let table = statement.table;
    match &statement.action {
        Action::Select(select) => render_select(table, select, dialect),
        Action::Insert(values) => (Cow::Borrowed(&texts(table).insert), values.iter().collect()),
        Action::Upsert(values) => (Cow::Borrowed(&texts(table).upsert), values.iter().collect()),
        Action::Update { values, guards } => {
            let mut params: Vec<&Value> = values.iter().collect();
            if guards.is_empty() {
                return (Cow::Borrowed(&texts(table).update), params);
            }
            let mut text = texts(table).update.clone();
            for guard in guards {
                text.push_str(" AND ");
                condition(&mut text, table, guard, &mut params);
            }
            (Cow::Owned(text), params)
        }
        Action::Add { column, by, conds } => {
            let name = table.columns[*column].name;
            let mut text = format!("UPDATE {} SET {name} = {name} + $1", table.name);
            let mut params = vec![by];
            conditions(&mut text, table, conds, &mut params);
            (Cow::Owned(text), params)
        }
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
) -> (Cow<'static, str>, Vec<&'v Value>) {
    let what = match select.what {
        What::Rows => names(table, 0..table.columns.len()),
        What::Count => "COUNT(*)".to_owned(),
        What::Distinct(column) => format!("DISTINCT {}", table.columns[column].name),
    };
    let mut text = format!("SELECT {what} FROM {}", table.name);
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
        params.extend(after);
    }
    if !select.order.is_empty() {
        let direction = if select.descending { " DESC" } else { "" };
        let columns: Vec<String> =
            select.order.iter().map(|&i| format!("{}{direction}", table.columns[i].name)).collect();
        let _ = write!(text, " ORDER BY {}", columns.join(", "));
    }
    let _ = write!(text, " LIMIT {}", select.limit);
    match (dialect, select.lock) {
        // one writer at a time: whoever writes holds all locks already
        (Dialect::Sqlite, true | false) => {}
    }
    (Cow::Owned(text), params)
}

fn conditions<'v>(text: &mut String, table: &Table, conds: &'v [Cond], params: &mut Vec<&'v Value>) {
    for (n, cond) in conds.iter().enumerate() {
        text.push_str(if n == 0 { " WHERE " } else { " AND " });
        condition(text, table, cond, params);
    }
}

fn condition<'v>(text: &mut String, table: &Table, cond: &'v Cond, params: &mut Vec<&'v Value>) {
    let name = table.columns[cond.column].name;
    let op = match (cond.op, &cond.value) {
        (Op::Eq, Value::Null) => {
            let _ = write!(text, "{name} IS NULL");
            return;
        }
        (Op::Eq, _) => "=",
        (Op::Le, _) => "<=",
        (Op::Gt, _) => ">",
    };
    params.push(&cond.value);
    let _ = write!(text, "{name} {op} ${}", params.len());
}

fn names(table: &Table, columns: impl IntoIterator<Item = usize>) -> String {
    columns.into_iter().map(|i| table.columns[i].name).collect::<Vec<_>>().join(", ")
}
