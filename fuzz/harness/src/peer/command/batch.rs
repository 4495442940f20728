//! Many cases in one run of the program. Where the run fails it is taken apart, until each case has passed, in company or alone, or has
//! been run alone: then what is seen of the case is what it shows alone.
//!
//! A failure that none of the cases shows alone is told apart ([`Company`]), unless the cases only took each other's room: runners
//! keep what a script has made until its end, so a heap fills up, and 20 cases take the time of 20.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Asked, CommandSubject, Run};
use crate::process::Death;
use crate::subject::{Batch, Company};
use crate::{Case, selfcheck};

/// Cases in one run.
pub(super) const CASES: usize = 16;

/// What is known so far.
struct Settling<'a> {
    subject: &'a CommandSubject,
    asked: &'a [Asked],
    /// Of cases that were run alone, by number; the others passed.
    alone: BTreeMap<usize, Run>,
    /// Numbers of cases that fail together, and how.
    company: Vec<(Vec<usize>, Run)>,
}

impl CommandSubject {
    /// What is seen of each case.
    pub(super) fn settle(&self, cases: &[Case], asked: &[Asked]) -> Batch {
        let mut settling = Settling { subject: self, asked, alone: BTreeMap::new(), company: Vec::new() };
        // Others could see what one has done to the host's modules.
        let (together, apart): (Vec<usize>, Vec<usize>) =
            (0..asked.len()).partition(|case| asked[*case].runs && selfcheck::is_plain(&asked[*case].script));
        settling.passes(&together);
        apart.iter().for_each(|case| {
            settling.passes_alone(*case);
        });
        let Settling { alone, company, .. } = settling;
        let observations =
            (0..asked.len()).map(|case| self.judge(&asked[case], alone.get(&case).unwrap_or(&Run::Passed)));
        let company = company.iter().map(|(members, run)| {
            let run_of = |case: &usize| {
                let steps = cases[*case].steps.iter().take(asked[*case].script.steps.len());
                Case { schedule: cases[*case].schedule.clone(), steps: steps.cloned().collect() }
            };
            let parts: Vec<Case> = members.iter().map(run_of).collect();
            Company {
                members: members.len(),
                case: Case::together(&parts),
                observation: self.judge(&all(asked, members), run),
            }
        });
        Batch { observations: observations.collect(), company: company.collect() }
    }
}

impl Settling<'_> {
    /// Whether all these pass.
    fn passes(&mut self, members: &[usize]) -> bool {
        let (first, others) = match members {
            [] => return true,
            [only] => return self.passes_alone(*only),
            [first, others @ ..] => (*first, others),
        };
        let script = all(self.asked, members);
        let limit = self.subject.settings.call;
        let run = self.subject.run(&script.script.to_wast_binary(), limit);
        match &run {
            Run::Passed => true,
            Run::Died(Death::Timeout(_)) => {
                // Halves would each take as long.
                let start = Instant::now();
                let mut pass = true;
                for member in members {
                    pass &= self.passes_alone(*member);
                }
                if pass {
                    let again = self.subject.run(&script.script.to_wast_binary(), limit + start.elapsed());
                    self.together(members, again);
                }
                pass
            }
            Run::Failed(message) => {
                let room = self.subject.exhausted(message).is_some();
                match self.failed_at(&script.script, members, message) {
                    // With the room of a new process.
                    Some(at) if room && at > 0 => self.passes(&members[at..]),
                    Some(0) if room => {
                        let pass = self.passes_alone(first);
                        self.passes(others) && pass
                    }
                    Some(at) if !self.passes_alone(members[at]) => {
                        self.passes(&members[at + 1..]);
                        false
                    }
                    _ => self.passes_in_halves(members, run),
                }
            }
            Run::Died(_) | Run::Impossible(_) => self.passes_in_halves(members, run),
        }
    }

    /// The same of some that fail together.
    fn passes_in_halves(&mut self, members: &[usize], run: Run) -> bool {
        let (one, other) = members.split_at(members.len() / 2);
        let known = self.company.len();
        let pass = self.passes(one) & self.passes(other);
        if pass && self.company.len() == known {
            self.together(members, run);
        }
        pass
    }

    /// The same of one in a process of its own.
    fn passes_alone(&mut self, member: usize) -> bool {
        let (subject, asked) = (self.subject, &self.asked[member]);
        matches!(self.alone.entry(member).or_insert_with(|| subject.alone(asked)), Run::Passed)
    }

    /// Keeps what some do that pass alone.
    fn together(&mut self, members: &[usize], run: Run) {
        let fine = match &run {
            Run::Passed => true,
            Run::Failed(message) => self.subject.exhausted(message).is_some(),
            Run::Died(_) | Run::Impossible(_) => false,
        };
        if !fine {
            self.company.push((members.to_vec(), run));
        }
    }

    /// Which of the members the message points into.
    fn failed_at(&self, script: &Case, members: &[usize], message: &str) -> Option<usize> {
        let mut step = self.subject.step_of(script, message)?;
        members.iter().position(|member| {
            let steps = self.asked[*member].script.steps.len();
            let inside = step < steps;
            step = step.saturating_sub(steps);
            inside
        })
    }
}

/// One script of them.
fn all(asked: &[Asked], members: &[usize]) -> Asked {
    let parts = || members.iter().map(|member| &asked[*member]);
    Asked {
        script: Case::together(parts().map(|asked| &asked.script)),
        // The steps that are not run have none.
        outcomes: parts()
            .flat_map(|asked| asked.outcomes.iter().take(asked.script.steps.len()).cloned())
            .collect(),
        runs: true,
    }
}
