//! What it was made of and with: data, network, settings, machine.

use maud::{Markup, html};

use super::{class, name, pairs, section};
use crate::machine::Machine;
use crate::report_html::{Report, Seen};
use crate::run_file::Session;
use crate::ui::count;

/// The most classes whose photos are listed from the start.
const OPEN_CLASSES: usize = 30;

pub fn render(report: &Report) -> Markup {
    html! {
        @if let Ok(seen) = &report.seen { (data(report, seen)) }
        (section("network", "Network", html! { div.scroll { pre { (report.summary) } } }))
        div.columns { (settings(report)) (machines(report)) }
    }
}

fn data(report: &Report, seen: &Seen) -> Markup {
    let eval = |class: usize| seen.eval_classes.as_ref().map_or(0, |counts| counts[class]);
    let total = |counts: &[u64]| counts.iter().sum::<u64>();
    let content = html! {
        p { (name(&seen.path)) }
        @if seen.bad > 0 { p.missing { (count(seen.bad, "bad record")) " left out (--skip-bad)." } }
        details open[report.classes.len() <= OPEN_CLASSES] {
            summary { "Photos of each class" }
            div.scroll {
                table {
                    thead { tr { th { "class" } th.number { "to train on" } th.number { "to evaluate on" } } }
                    tbody {
                        @for (index, photos) in seen.train_classes.iter().enumerate() {
                            tr { td { (class(&report.classes, index)) } td.number { (photos) } td.number { (eval(index)) } }
                        }
                    }
                    tfoot {
                        tr {
                            th { "all" } td.number { (total(&seen.train_classes)) }
                            td.number { (seen.eval_classes.as_deref().map_or(0, total)) }
                        }
                    }
                }
            }
        }
    };
    section("data", "Data", content)
}

fn settings(report: &Report) -> Markup {
    let rows: Vec<_> =
        report.settings.iter().map(|(name, value)| (name.as_str(), super::name(value))).collect();
    section("settings", "Settings", pairs(&rows))
}

fn machines(report: &Report) -> Markup {
    let sessions = &report.sessions;
    let content = html! {
        @if sessions.is_empty() { p.missing { "On which machine the run was trained was not noted." } }
        @for session in sessions {
            @if sessions.len() > 1 { h3 { (count(session.epochs.len(), "epoch")) } }
            (machine(session))
        }
    };
    section("machine", if sessions.len() > 1 { "Machines" } else { "Machine" }, content)
}

fn machine(session: &Session) -> Markup {
    let Machine { cpu, cores, memory, arithmetic } = &session.machine;
    let unknown = || "not known".to_owned();
    pairs(&[
        ("processor", name(cpu.as_deref().unwrap_or("not known"))),
        ("cores", html! { (cores.map_or_else(unknown, |cores| cores.to_string())) }),
        ("threads", html! { (session.threads) }),
        ("memory", html! { (memory.map_or_else(unknown, |bytes| format!("{:.1} GB", bytes as f64 / 1e9))) }),
        ("instruction set", name(&arithmetic.instructions)),
        ("system", name(&format!("{} on {}", arithmetic.system, arithmetic.architecture))),
        ("floret", name(&arithmetic.floret)),
    ])
}
