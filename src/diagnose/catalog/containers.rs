//! Checks of bridge and containers, FL3xx. Words only.

use super::{Entry, Judged};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        id: "FL301",
        name: "bridge-not-in-lease",
        title: "Docker's bridge does not have the lease's subnet",
        meaning: "Docker was started before flannel, or kept its old subnet after the lease changed. Containers then have addresses that no other node routes here.",
        mend: "flannelctl docker-config, then restart Docker after the agent is ready; containers of the old subnet have to be recreated.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL302",
        name: "bridge-mtu",
        title: "Bridge or containers have a larger MTU than flannel's device",
        meaning: "Small packets pass, large ones are dropped or fragmented: pings work and transfers hang.",
        mend: "Set Docker's mtu to FLANNEL_MTU (flannelctl docker-config), restart Docker and recreate the containers.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL303",
        name: "compose-network-outside",
        title: "Containers in networks outside the lease",
        meaning: "Docker Compose makes networks of its own, which are not part of the overlay.",
        mend: "Use network_mode: bridge, or accept that such containers are reached by published ports only.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL304",
        name: "subnet-env-missing",
        title: "subnet.env is absent or cannot be read",
        meaning: "Docker's options are made of it. Without it Docker starts with its own default subnet.",
        mend: "Start the agent; check --subnet-file and where Docker's unit looks.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL305",
        name: "bridge-down",
        title: "Docker's bridge is down",
        meaning: "The bridge has the right address and is administratively down, so nothing gets to or from containers. A bridge without carrier is normal where no container runs.",
        mend: "ip link set BRIDGE up.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL310",
        name: "container-absent",
        title: "No container has the target address",
        meaning: "The packet comes out of the overlay, and the bridge gets no answer to its ARP request: the container is stopped, or has another address.",
        mend: "Start the container, or look up its address (docker inspect).",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL311",
        name: "container-no-default-route",
        title: "The container has no route back",
        meaning: "The request is delivered and cannot be answered, because the container has no default route (or one to another gateway).",
        mend: "Add the default route by the bridge's address, or recreate the container in the bridge network.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL312",
        name: "container-silent",
        title: "The container receives and does not answer",
        meaning: "The request was seen on the container's own interface and no answer came: a firewall in the container, or an address that it does not have.",
        mend: "Look inside the container: its addresses, routes, firewall and net.ipv4.icmp_echo_ignore_all.",
        judged: Judged::Yes,
    },
    Entry {
        id: "FL313",
        name: "container-detached",
        title: "Packets are lost between container and bridge",
        meaning: "The container's interface is no port of the bridge, is down, or a bridge filter drops.",
        mend: "Reconnect the container to its network (docker network disconnect/connect), check the bridge's ports (bridge link).",
        judged: Judged::Yes,
    },
];
