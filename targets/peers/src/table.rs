//! What was measured, as one Markdown table: a row for each figure, a column for each store, and in each cell
//! the figures of all loads.

use crate::flash::{CHIP_BYTES, Traffic};
use crate::measure::{Cost, Costs, FULL_UPDATES, Fullness, UPDATES};
use crate::store::Ram;
use crate::{FILLINGS, LOADS};

/// A store's figures.
pub(crate) struct Column {
    /// What it is called.
    pub(crate) name: String,
    /// The RAM that it takes.
    pub(crate) ram: Ram,
    /// For each load, what it cost; `None` where it does not fit.
    pub(crate) costs: [Option<Costs>; LOADS.len()],
    /// For each length of value, what fits; `None` where another column says the same.
    pub(crate) fillings: [Option<Fullness>; FILLINGS.len()],
}

/// A figure that is taken of each load: what the row says, and how its cell is made. The second argument is
/// what one update gives, in bytes.
type Figure = (&'static str, fn(&Costs, f64) -> String);

const FIGURES: &[Figure] = &[
    ("bytes programmed / bytes given, first 5,000 updates", |c, g| ratio(c.first, g)),
    ("the same, next 5,000", |c, g| ratio(c.later, g)),
    ("erases per 1,000 updates, first 5,000", |c, _| per_thousand(c.first)),
    ("the same, next 5,000", |c, _| per_thousand(c.later)),
    ("bytes read per update, first 5,000", |c, _| number(mean(c.first, |sum| sum.bytes_read))),
    ("the same, next 5,000", |c, _| number(mean(c.later, |sum| sum.bytes_read))),
    ("worst update: bytes programmed", |c, _| number(worst(c, |cost| cost.bytes_written))),
    ("worst update: bytes read", |c, _| number(worst(c, |cost| cost.bytes_read))),
    ("worst update: erases", |c, _| number(worst(c, |cost| cost.erases))),
    ("worst update, modelled ms", |c, _| number(worst(c, |cost| cost.time_ns) / 1_000_000)),
    ("reads per hit, most", |c, _| number(c.hits.worst.reads)),
    ("bytes read per hit", |c, _| number(mean(c.hits, |sum| sum.bytes_read))),
    ("bytes read per hit, most", |c, _| number(c.hits.worst.bytes_read)),
    ("bytes read per miss", |c, _| number(mean(c.misses, |sum| sum.bytes_read))),
    ("bytes read to open again", |c, _| number(c.mount.bytes_read)),
    ("the same, modelled ms", |c, _| number(c.mount.time_ns / 1_000_000)),
    ("bytes read by the first hit after that", |c, _| number(c.first_hit.bytes_read)),
    ("erases of the least and the most erased sector", |c, _| {
        format!("{}-{}", number(c.erases.0.into()), number(c.erases.1.into()))
    }),
];

/// Prints the table.
pub(crate) fn print(columns: &[Column]) {
    let loads = LOADS.map(|load| format!("{} x {}", number(load.keys), load.value_bytes));
    println!("Keys x bytes of a value: {}.\n", loads.join(" / "));
    row("", columns, |column| column.name.clone());
    row("---", columns, |_| "---".into());
    row("RAM kept, bytes", columns, |column| number(column.ram.kept as u64));
    row("RAM lent to a call, bytes", columns, |column| number(column.ram.lent as u64));
    for (figure, cell) in FIGURES {
        row(figure, columns, |column| {
            let costs = LOADS.iter().zip(&column.costs);
            let cells = costs.map(|(load, costs)| match costs {
                Some(costs) => cell(costs, load.given_bytes() as f64),
                None => "full".into(),
            });
            cells.collect::<Vec<_>>().join(" / ")
        });
    }
    let values = FILLINGS.map(|bytes| bytes.to_string()).join(" / ");
    row(&format!("usable, of the flash, for values of {values}"), columns, |column| {
        fillings(column, usable)
    });
    row("updates that a full store takes, of 100", columns, |column| {
        fillings(column, |full| number(full.updates))
    });
}

fn row(figure: &str, columns: &[Column], cell: impl Fn(&Column) -> String) {
    let cells: Vec<_> = columns.iter().map(cell).collect();
    println!("| {figure} | {} |", cells.join(" | "));
}

fn fillings(column: &Column, cell: fn(&Fullness) -> String) -> String {
    let cells = column.fillings.iter().flatten().map(cell);
    cells.collect::<Vec<_>>().join(" / ")
}

fn usable(full: &Fullness) -> String {
    let percent = full.given_bytes as f64 * 100.0 / CHIP_BYTES as f64;
    format!("{percent:.0} %")
}

fn ratio(cost: Cost, given_bytes: f64) -> String {
    format!("{:.2}", cost.sum.bytes_written as f64 / (cost.count as f64 * given_bytes))
}

fn per_thousand(cost: Cost) -> String {
    number((cost.sum.erases as f64 * 1000.0 / cost.count as f64).round() as u64)
}

fn mean(cost: Cost, of: fn(&Traffic) -> u64) -> u64 {
    of(&cost.sum) / cost.count
}

/// The most that any update took.
fn worst(costs: &Costs, of: fn(&Traffic) -> u64) -> u64 {
    of(&costs.first.worst).max(of(&costs.later.worst))
}

/// A number with its thousands set apart.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// The rows say so.
const _: () = assert!(UPDATES == 5_000 && FULL_UPDATES == 100);
