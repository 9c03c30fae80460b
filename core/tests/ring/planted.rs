//! Faults that are planted, and the rule of the ring by which the model notices each. It looks at nothing but
//! the calls of the storage, and asks no block back: so it notices as well what breaks a rule and can do no
//! harm alone.
//!
//! `cargo task planted` runs this. `KAUSAL_FAULT=TrustsTheEnd` plants that fault only.

use super::common::power::Scenario;
use super::rules::Rule;
use kausaldb::planted::{Fault, plant};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the model notices, and by which rule: each rule is there. Most other faults break no rule of the
/// ring: they misread, or refuse, or need damage or a storage that fails. Of those that do, these loads do
/// not come to where `BatchSizeUncounted`, `ProvenUnprotected`, `RetireBelieved` and `CopiesWhatIsTorn` show.
const NOTICED: [(Fault, Rule); 41] = [
    (Fault::SuccessorUntold, Rule::SuccessorTold),
    (Fault::SuccessorToldEarly, Rule::SuccessorTold),
    (Fault::RetiredUsedNext, Rule::OldestFirst),
    (Fault::HeaderNotSynced, Rule::HeaderFirst),
    (Fault::HighestErasedNext, Rule::OldestFirst),
    (Fault::ChainErased, Rule::RingKept),
    (Fault::CandidateUnprotected, Rule::RingKept),
    (Fault::MovedNotSynced, Rule::RetireSynced),
    (Fault::RetireNotSynced, Rule::RetireSynced),
    (Fault::EraseLeftOut, Rule::ErasedBefore),
    (Fault::CountsWithoutMarks, Rule::Recovered),
    (Fault::NoThirdMark, Rule::ThreeMarks),
    (Fault::TrustsTheEnd, Rule::HeaderTells),
    (Fault::TornBodyCounts, Rule::HeaderTells),
    (Fault::RetiredLastFirst, Rule::OldestFirst),
    (Fault::NumbersRestart, Rule::NumbersRise),
    (Fault::OpensUnsynced, Rule::OpensSynced),
    (Fault::SaltLacksNumber, Rule::NothingLost),
    (Fault::SaltLacksOffset, Rule::NothingLost),
    (Fault::SaltLacksStore, Rule::NothingLost),
    (Fault::AcknowledgedUnsynced, Rule::Acknowledged),
    (Fault::NeverMarks, Rule::MarkAfterSync),
    (Fault::TombstoneTooEarly, Rule::Unmentioned),
    (Fault::NumberFreedTooEarly, Rule::Folded),
    (Fault::FoldedAtOneEnd, Rule::LiveRewritten),
    (Fault::IntentNotMoved, Rule::LiveRewritten),
    (Fault::UnlinkForgotten, Rule::Folded),
    (Fault::MovesInsideBatch, Rule::BatchWhole),
    (Fault::BatchEndUncounted, Rule::Folded),
    (Fault::MovedNotReadBack, Rule::ReadBack),
    (Fault::EndIncludesAgain, Rule::HeaderTells),
    (Fault::EdgeChangeMoved, Rule::NeverMoved),
    (Fault::TombstoneMoved, Rule::NeverMoved),
    (Fault::MarksUnsynced, Rule::MarkAfterSync),
    (Fault::CloseUnmarked, Rule::Closed),
    (Fault::TearIsDamage, Rule::OldestFirst),
    (Fault::OlderWins, Rule::LiveRewritten),
    (Fault::TakesOverInPart, Rule::FreshContent),
    (Fault::NumberGivenTwice, Rule::NumberFree),
    (Fault::LeavesAGap, Rule::AtTheEnd),
    (Fault::NoReserve, Rule::Reserve),
];

/// How the model puts it that a rule was broken, the quickest load first.
fn noticed() -> Option<String> {
    let loads: [fn(); 4] = [
        super::the_engine_keeps_the_rules_of_the_ring,
        more_cuts,
        super::the_engine_keeps_the_rules_of_the_ring_when_power_is_cut,
        super::the_engine_keeps_the_rules_of_the_ring_when_power_goes_at_every_boot,
    ];
    let failed = loads.iter().find_map(|load| catch_unwind(AssertUnwindSafe(load)).err())?;
    failed.downcast_ref::<String>().cloned()
}

/// What few loads come to: stores of other seeds, cut more often.
fn more_cuts() {
    for seed in 2..6 {
        for (name, scenario) in super::SCENARIOS {
            super::cut(name, Scenario { seed, ..scenario }, [20, 0, 0]);
        }
    }
}

#[test]
fn every_rule_is_broken_by_a_fault() {
    let rules: BTreeSet<_> = NOTICED.iter().map(|(_, rule)| rule).collect();
    assert_eq!(rules.len(), Rule::Recovered as usize + 1, "the last rule is `Recovered`");
}

#[test]
fn the_model_notices_by_itself() {
    let asked = std::env::var("KAUSAL_FAULT").ok();
    // What a fault makes of a load is of no interest.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (fault, rule) in NOTICED {
        if asked.as_ref().is_some_and(|asked| *asked != format!("{fault:?}")) {
            continue;
        }
        plant(&[fault]);
        let by = noticed();
        plant(&[]);
        let expected = format!("rule of the ring {rule:?}:");
        if by.as_ref().is_some_and(|by| by.starts_with(&expected)) {
            println!("{fault:?}: {rule:?}");
        } else {
            missed.push((fault, rule, by));
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "not noticed, or by another rule: {missed:#?}");
}
