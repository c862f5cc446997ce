//! Why a command did not do what was asked: what is said, and the exit code.

use crate::out::Out;
use crate::{safe, text};
use hallway_api::{ClientError, ProblemView};
use hallway_node::home::HomeError;
use serde_json::json;
use std::io;
use std::process::ExitCode;

/// See the module.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong in a way that its parser cannot see.
    Usage(String),
    /// The node is not running, or refused.
    Client(ClientError),
    /// The other person, or their node, did not want it.
    Declined(String),
    /// The message is kept and has not left, or the person called is not there.
    NotDelivered(String),
    /// Time is over.
    TimedOut(String),
    /// `doctor` found something that stands in the way, and has said so.
    Unwell,
    /// Output could not be written.
    Output(io::Error),
    /// Anything else.
    Other(anyhow::Error),
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// Says what there is to say and returns the exit code that `--help` documents.
    pub(crate) fn report(&self, out: &Out) -> ExitCode {
        let what = self.what();
        if let Some(what) = &what {
            out.note(&format!("hallway: {}", safe::one_line(what)));
        }
        if let Some(refused) = self.refused() {
            for candidate in &refused.candidates {
                out.note(&format!(
                    "  {}~{}",
                    safe::one_line(&candidate.name),
                    candidate.tag
                ));
            }
        }
        if let Some(what) = what.filter(|_| out.json) {
            out.note(&match self.refused() {
                Some(refused) => safe::json(&serde_json::to_string(refused).unwrap_or_default()),
                None => json_of(self.code(), &what),
            });
        }
        ExitCode::from(self.exit_code())
    }

    fn refused(&self) -> Option<&ProblemView> {
        match self {
            Self::Client(ClientError::Refused(refused)) => Some(refused),
            Self::Usage(_)
            | Self::Client(_)
            | Self::Declined(_)
            | Self::NotDelivered(_)
            | Self::TimedOut(_)
            | Self::Unwell
            | Self::Output(_)
            | Self::Other(_) => None,
        }
    }

    /// Another node runs with the same data.
    pub(crate) fn runs_already(&self) -> bool {
        let Self::Other(error) = self else {
            return false;
        };
        matches!(error.downcast_ref(), Some(HomeError::Running { .. }))
    }

    /// What failed and why; `None` when that was said already, or need not be.
    pub(crate) fn what(&self) -> Option<String> {
        match self {
            Self::Usage(what)
            | Self::Declined(what)
            | Self::NotDelivered(what)
            | Self::TimedOut(what) => Some(what.clone()),
            Self::Client(ClientError::NotRunning { socket }) => Some(text::not_running(socket)),
            Self::Client(error) => Some(error.to_string()),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(text::not_written(error)),
            Self::Other(error) => Some(chain(error)),
            Self::Unwell => None,
        }
    }

    /// For programs, where no node has said why.
    fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Declined(_) => "declined",
            Self::NotDelivered(_) => "not_delivered",
            Self::TimedOut(_) => "timed_out",
            Self::Client(ClientError::NotRunning { .. }) => "not_running",
            Self::Client(_) | Self::Unwell | Self::Output(_) | Self::Other(_) => "failed",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            // Whoever closed the pipe has what they wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Usage(_) => 2,
            Self::Client(ClientError::NotRunning { .. }) => 3,
            Self::Client(ClientError::Refused(problem)) if is_refusal(problem) => 4,
            Self::Declined(_) => 4,
            Self::NotDelivered(_) => 5,
            Self::TimedOut(_) => 6,
            Self::Client(_) | Self::Unwell | Self::Output(_) | Self::Other(_) => 1,
        }
    }
}

/// A failure for programs, where no node has told of a problem.
pub(crate) fn json_of(code: &str, what: &str) -> String {
    safe::json(&json!({ "code": code, "detail": what }).to_string())
}

/// What failed and why. An error that passes its cause on in its own words does not repeat it.
fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    said
}

/// The node could do it, and trust or ambiguity forbids it.
fn is_refusal(problem: &ProblemView) -> bool {
    [
        "blocked",
        "name_collision",
        "number_mismatch",
        "ambiguous_name",
        "call_busy",
    ]
    .contains(&&*problem.code)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
