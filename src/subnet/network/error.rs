//! Why a config is refused: one variant a reason, each with field, value and remedy.

use std::net::IpAddr;

use ipnet::IpNet;

/// Longest text of a refused value that a message repeats, in characters.
const SHOWN: usize = 60;

/// Why a config is refused. Texts from the config are shortened and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not JSON.
    #[error(
        "the config is not valid JSON (line {line}, column {column}): no comments, no trailing commas, nothing \
         after the object"
    )]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1; 0 at the start of a line.
        column: usize,
    },
    /// JSON, but no object.
    #[error("the config is not a JSON object: write {{\"Network\":\"10.5.0.0/16\"}} or the like")]
    NotAnObject,
    /// A switch that is neither true nor false.
    #[error("{field} is {value}: write true or false without quotes")]
    NotABool {
        /// The field.
        field: &'static str,
        /// Its JSON text.
        value: String,
    },
    /// A number in another form than a plain non-negative integer.
    #[error("{field} is {value}: write a whole number without sign, fraction or quotes")]
    NotANumber {
        /// The field.
        field: &'static str,
        /// Its JSON text.
        value: String,
    },
    /// Not an address of the field's family.
    #[error("{field} is {value}: write an address like \"{example}\", or leave the field out")]
    NotAnAddress {
        /// The field.
        field: &'static str,
        /// Its JSON text.
        value: String,
        /// What it could be.
        example: &'static str,
    },
    /// Not a network of the field's family.
    #[error("{field} is {value}: write a network with its prefix length like \"{example}\"")]
    NotANetwork {
        /// The field.
        field: &'static str,
        /// Its JSON text.
        value: String,
        /// What it could be.
        example: &'static str,
    },
    /// A family is on, but has no network.
    #[error("{field} is missing: give a network, or set {switch} to false")]
    NetworkMissing {
        /// The field.
        field: &'static str,
        /// The field that turns the family off.
        switch: &'static str,
    },
    /// The network leaves no room for subnets.
    #[error("{field} {network} is too small: use a prefix length of at most {longest}")]
    NetworkTooSmall {
        /// The field.
        field: &'static str,
        /// Its value.
        network: IpNet,
        /// Longest prefix length that works.
        longest: u8,
    },
    /// A subnet with no room for a bridge and a container.
    #[error("{field} {value} is too long: use at most {longest}")]
    SubnetTooSmall {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// Longest prefix length that works.
        longest: u8,
    },
    /// Fewer than four subnets.
    #[error("{field} {value} leaves fewer than four subnets in {network}: use at least {shortest}")]
    TooFewSubnets {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The network.
        network: IpNet,
        /// Shortest prefix length that works.
        shortest: u8,
    },
    /// A bound outside of the network.
    #[error("{field} {value} is outside of the network {network}: use an address in it")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: IpAddr,
        /// The network.
        network: IpNet,
    },
    /// A bound that is not the first address of a subnet.
    #[error("{field} {value} is not the base of a /{subnet_len} subnet: use {base}")]
    Unaligned {
        /// The field.
        field: &'static str,
        /// Its value.
        value: IpAddr,
        /// Prefix length of a node's subnet.
        subnet_len: u8,
        /// Base of the subnet that holds the value.
        base: IpAddr,
    },
    /// `Backend` of another JSON type.
    #[error("Backend is {value}: write an object like {{\"Type\":\"vxlan\"}}")]
    BackendNotAnObject {
        /// Its JSON text.
        value: String,
    },
    /// `Backend.Type` that is no string.
    #[error("Backend.Type is {value}: write \"vxlan\", \"udp\" or \"host-gw\"")]
    BackendTypeNotAString {
        /// Its JSON text.
        value: String,
    },
    /// A `Backend` without `Type`.
    #[error("Backend.Type is missing: write \"vxlan\", \"udp\" or \"host-gw\"")]
    BackendTypeMissing,
    /// A backend of flanneld that flannelctl does not have.
    #[error(
        "Backend.Type {name} is known to flanneld, but not to flannelctl: use vxlan, udp or host-gw, or run \
         flanneld on this network"
    )]
    BackendUnsupported {
        /// Lower-cased type.
        name: &'static str,
    },
    /// A backend that nobody has.
    #[error("Backend.Type {name} is unknown: use vxlan, udp or host-gw")]
    BackendUnknown {
        /// Lower-cased type.
        name: String,
    },
    /// An option that is neither true nor false.
    #[error("Backend.{option} is {value}: write true or false without quotes")]
    OptionNotABool {
        /// The option.
        option: &'static str,
        /// Its JSON text.
        value: String,
    },
    /// A VNI that makes the name of the device `flannel.<VNI>` longer than Linux allows.
    #[error(
        "Backend.VNI is {vni}: the device flannel.{vni} would have a name of more than 15 characters; use at most \
         {most}"
    )]
    VniTooLong {
        /// Its value.
        vni: u32,
        /// Most that works.
        most: u32,
    },
    /// An option that is no whole number in its range.
    #[error("Backend.{option} is {value}: write a whole number from {least} to {most}")]
    OptionOutOfRange {
        /// The option.
        option: &'static str,
        /// Its JSON text.
        value: String,
        /// Least that works.
        least: u32,
        /// Most that works.
        most: u32,
    },
}

/// Text from the config for a message.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .map(|letter| match letter.is_control() {
            true => '\u{fffd}',
            false => letter,
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
