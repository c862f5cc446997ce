//! Everything cryptographic: device certificates, the hybrid Noise handshake, the records that
//! follow it, safety numbers, and who may start a handshake at all.
//!
//! ```text
//! initiator                                    responder
//!   Hello, message 1: e, e1                 ─▶
//!                                           ◀─   Reject, or
//!                                           ◀─   message 2: e, ee, ekem1, s, es {certificate, capabilities}
//!   message 3: s, se {certificate, capabilities} ─▶
//!   records                                ◀─▶   records
//! ```

mod admission;
mod certificate;
mod error;
mod exchange;
mod hello;
mod kem;
mod noise;
mod payload;
mod record;
mod safety;

pub use admission::{
    Admission, HALF_OPEN_MAX, HALF_OPEN_PER_SOURCE_MAX, HANDSHAKE_TIME_MAX, Refused, Ticket,
};
pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate, CertificateError, LocalKeys};
pub use error::HandshakeError;
pub use exchange::{Established, HANDSHAKE_BYTES_MAX, Handshake, Policy, Role, Step};
pub use hello::{HELLO_BYTES, Hello, MalformedHello, Reject, RejectReason};
pub use noise::{Entropy, Suite};
pub use payload::{Capabilities, PAYLOAD_BYTES_MAX, Payload, Purpose};
pub use record::{
    RECORD_OVERHEAD, RECORD_PLAINTEXT_MAX, REKEY_BYTES, REKEY_INTERVAL, REKEY_RECORDS, RecordError,
    Transport, Usage,
};
pub use safety::safety_number;
