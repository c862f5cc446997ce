//! The switch of a LAN: its ports, and what each lets through, as rules for `nft`.

use std::collections::BTreeMap;
use std::fmt::Write;

/// One interface of one host. A host's number alone means its `eth0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The host, counted from 0.
    pub host: usize,
    /// The switch, which is also the number of the interface.
    pub segment: u8,
}

impl From<usize> for Port {
    fn from(host: usize) -> Self {
        Self { host, segment: 0 }
    }
}

impl Port {
    /// The host's side.
    pub(super) fn interface(self) -> String {
        format!("eth{}", self.segment)
    }

    /// The switch's side.
    pub(super) fn name(self) -> String {
        format!("p{}-{}", self.segment, self.host)
    }

    /// What addresses are made of. Hosts count from 1 here.
    pub(super) fn bytes(self) -> [u8; 4] {
        let host = u8::try_from(self.host + 1)
            .ok()
            .filter(|host| *host < 255)
            .expect("a LAN has at most 254 hosts");
        [0, 0, self.segment, host]
    }
}

/// What a port lets through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Policy {
    pub(super) muted: bool,
    pub(super) loss_percent: u32,
    pub(super) no_multicast: bool,
}

/// The table that [`rules`] fills. Each packet is counted once, as it enters the switch.
///
/// The priorities have to be below 0: there the kernel's `br_netfilter`, where it is active, takes
/// the packet and does not come back to a chain of the same priority that was there before it.
pub(super) const TABLE: &str = "table bridge switch {
    counter mdns { }
    chain enter { type filter hook prerouting priority dstnat; udp dport 5353 counter name mdns; }
    chain forward { type filter hook forward priority filter; }
}";

/// Of a host that nobody can open a TCP connection to.
pub(super) const FIREWALL: &str = "table inet firewall {
    chain enter {
        type filter hook input priority filter;
        tcp flags & (syn | ack) == syn drop;
    }
}";

/// And when others can again.
pub(super) const NO_FIREWALL: &str = "delete table inet firewall";

pub(super) const LIST_MDNS: &[&str] = &["list", "counter", "bridge", "switch", "mdns"];

/// The packets in what [`LIST_MDNS`] prints.
pub(super) fn packets(listed: &str) -> Option<u64> {
    let mut words = listed.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

/// Input for `nft` that replaces what was forbidden before, all at once.
pub(super) fn rules(policies: &BTreeMap<Port, Policy>) -> String {
    let mut text = String::from("flush chain bridge switch forward\n");
    for (port, policy) in policies {
        for direction in ["iifname", "oifname"] {
            let mut drop_if = |condition: &str| {
                let name = port.name();
                let _ = writeln!(
                    text,
                    "add rule bridge switch forward {direction} \"{name}\" {condition} drop"
                );
            };
            if policy.muted {
                drop_if("");
            }
            if policy.loss_percent > 0 {
                drop_if(&format!("numgen random mod 100 < {}", policy.loss_percent));
            }
            if policy.no_multicast {
                drop_if("meta pkttype { broadcast, multicast } meta l4proto udp");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_apart_up_to_the_last_address() {
        assert_eq!(Port::from(0).bytes(), [0, 0, 0, 1]);
        let last = Port {
            host: 253,
            segment: 1,
        };
        assert_eq!(last.bytes(), [0, 0, 1, 254]);
        assert!(std::panic::catch_unwind(|| Port::from(254).bytes()).is_err());
    }

    #[test]
    fn only_what_is_forbidden_has_a_rule() {
        let mut policies = BTreeMap::from([(Port::from(3), Policy::default())]);
        assert_eq!(rules(&policies).lines().count(), 1);
        policies.entry(Port::from(3)).or_default().loss_percent = 5;
        assert_eq!(
            rules(&policies).lines().last(),
            Some("add rule bridge switch forward oifname \"p0-3\" numgen random mod 100 < 5 drop")
        );
    }

    #[test]
    fn the_count_is_found_in_the_listing() {
        let listed = "table bridge switch {\n\tcounter mdns {\n\t\tpackets 12 bytes 900\n\t}\n}";
        assert_eq!(packets(listed), Some(12));
        assert_eq!(packets("no such counter"), None);
    }
}
