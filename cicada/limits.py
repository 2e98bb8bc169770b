"""All limits and timings, each with unit, reason and source.

Block one of each class is fixed by the protocol (peers must agree on it); block two is our choice and may be tuned.
Seconds are floats; sizes are bytes unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * KIB
MAX_DIGEST: Final = (
    256  # broadcasts named in one digest, 18 bytes each; 20 a second for as long as digests go on
)
MAX_LIST: Final = 64  # entries of a successor list in a message: 4r, the cap of the distinct-host rule


class WireLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes a frame or message may have."""

    max_frame: int = 64 * KIB  # length prefix excluded; a longer claim closes the connection
    max_payload: int = 32 * KIB  # one fragment, and what a message without fragments may carry
    max_message: int = 16 * MIB  # in fragments; of a broadcast, which has none, it is max_payload
    max_sealed: int = (
        32 * KIB + 256
    )  # a payload, what goes with it (50, of a hidden peer 198) and the tag (16)
    max_handshake: int = (
        1536  # message 1 of a session with a record and a succession as long as they may be has 1,309
    )
    max_extra: int = KIB  # what upper layers may put on a ring message
    max_list: int = MAX_LIST
    max_colours: int = 16  # of one attempt; answers may leave on as many ways, so questions name no more
    max_digest: int = MAX_DIGEST
    max_path: int = 64  # hops a message may have made; 4x the mean path of the largest ring we simulate
    seal_overhead: int = 16  # what a cipher adds to a body: the tag of ChaCha20-Poly1305
    max_text: int = 64  # characters of a reason or of a swarm's name; a guess, and they are words


class RingTimings(msgspec.Struct, frozen=True, kw_only=True):
    """When ring maintenance happens."""

    stabilize_min: float = 0.5  # design section 4; halved on change
    stabilize_max: float = 8.0  # a silent head is noticed within 10 s: one interval and its time-outs
    stabilize_joining: float = 0.2  # design: 0.1-0.25 s until the first quiet round
    growth: float = 1.25  # Ghinita and Teo 2006, as adopted by the design
    jitter: float = 0.25  # fraction by which jitter may shorten an interval; it never lengthens
    timeout_first: float = 1.0  # before a round trip was measured
    timeout_floor: float = 1.0  # a busy 2-core machine answers this late without anyone being dead
    timeout_ceiling: float = 4.0  # a guess; twice this must fit in the 10 s for a silent head
    lookup_timeout: float = 3.0  # whole recursive lookup, then it is tried again
    lookup_attempts: int = 4
    join_timeout: float = 2.0  # one join lookup before another seed is tried
    admission_hold: float = 0.5  # how long one admitted joiner may keep others waiting at its predecessor
    fix_fingers_min: float = (
        4.0  # one lookup; a thousand peers that each look up every second are busy with nothing else
    )
    fix_fingers_max: float = 30.0
    stale_fingers: float = 0.05  # share of the fingers that may have gone unnoticed (facts 1c)
    churn_memory: float = 120.0  # how long a change counts towards the estimated churn; some 15 calm rounds
    finger_dial_rate: float = 0.5  # dials per second and peer (design section 4)
    finger_dial_burst: int = 4  # a few fingers at once; more would compete with the joins of a whole swarm
    reactive_rate: float = (
        3.0  # unscheduled rounds per second, token bucket: a thousand peers on two cores can afford it
    )
    reactive_burst: int = 16  # a change travels back over r lists at once
    # Probes per node and round. Who is probed probes back, so they are 0.1 in all while two rings merge, which is what
    # halves of a ring need to be one within 25 rounds (configs/sim/halves.toml). With 0.1 they were 0.17.
    quarantine_probe: float = 0.05
    quarantine_size: int = 64
    quarantine_seconds: float = 3600.0
    suspect_hold: float = (
        3.0  # a suspect is not listed again this long; a dead one has left all lists by then
    )
    hint_hold: float = 30.0  # nor dialled as a finger this long; one turn through all finger intervals
    prove_timeout: float = 5.0  # back-stop: links answer a Prove within dial_timeout and a handshake
    query_attempts: int = 3  # back-stop: a link that is up but whose ring is silent, 1 + 2 + 4 s
    retry_pause: float = (
        0.2  # before a failed lookup or join is tried again; rings in repair need some round trips
    )
    rejoin_seconds: float = (
        10.0  # how long one that lost all successors looks for its ring before it is one alone
    )
    reactive_jitter: float = 0.01  # lets nudges that come together cause one round
    # Visits returned per second, each of them a dial to where somebody says it is. In a merge a peer is visited as often as it
    # visits: 0.1 a second where rounds are shortest.
    visit_rate: float = 1.0
    visit_burst: int = 8  # rings of one visit in every round; a few of them at once
    asker_seconds: float = 12.0  # whose lookup was passed on may hear of it this long: all attempts of one


class RingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of ring tables, and what counts as one host in them. All peers of a swarm should agree on the latter."""

    successors: int = 16  # r, the hosts that a successor list names
    group_hosts: bool = False  # loopback and private addresses count by their IP, not each peer by itself
    # All tables of one peer together; 5r at least, or a list of 4r and those being asked have no room. Facts 5.7: 256
    places_per_host: int = 256
    candidates: int = 16  # m, finger candidates per interval: mean hops 2.95 at N = 1000
    known_peers: int = 192  # design: 128-256; a known peer costs about 1 KB
    pending_lookups: int = 256
    walk_width: int = 3  # entries asked at once when the head is dead: dead dials are silent for 2 s each
    tail_dials: int = 4  # at once, to verify list entries; a list of r is done in four round trips
    suitors: int = (
        8  # notifiers waiting to become predecessor, nearest kept; one is enough, the rest are a head start
    )
    remembered: int = 256  # peers whose incarnation is remembered: known_peers and some strangers
    timed_peers: int = 64  # peers whose round trip is remembered: heads, predecessors and those before them
    rejoin_seeds: int = 8  # known peers through which a lost node looks for its ring
    step_hops: int = 4  # peers named by one answer of an iterative lookup
    waiting_joiners: int = 256  # join requests parked at one predecessor; the next is told to come back
    askers: int = (
        1024  # neighbours whose lookups are on their way; max_links, for each of them has a link with us
    )


def longest_list(successors: int) -> int:
    """Entries at which a successor list ends, on however few hosts they are: 4r, or as many as a message can name."""
    return max(successors, min(4 * successors, MAX_LIST))


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Links between two peers."""

    max_unacknowledged: int = 256 * KIB  # per link (design section 6)
    max_queued: int = 1 * MIB  # per link, all queues together
    control_share: float = 0.25  # of sent bytes while data waits
    ack_delay: float = 0.3  # a link ack waits this long for a frame to ride on; time-outs allow for it on top
    ack_bytes: int = 64 * KIB  # or for this many unacknowledged bytes
    timeout_first: float = 2.0
    # Forming a ring of 1,000 with another program on one of the two cores, false suspicions at 0.3, 0.5 and 1.0 s: 742, 338, 3.
    timeout_floor: float = 1.0
    timeout_ceiling: float = 4.0
    timeout_heard: float = 8.0  # of a frame whose receiver goes on sending; a frozen peer is noticed within 10 (design section 4)
    dial_timeout: float = 4.0  # a refused dial is silent (design section 2)
    idle_close: float = 60.0
    ping_interval: float = 45.0  # design: once a minute; less than idle_close, or the other end closes first
    handshakes_per_second: float = 200.0  # per hosted peer, inbound; a guess, four times a join storm's share
    handshakes_per_source: float = (
        50.0  # of these by one IPv4 address or IPv6 site; 200 peers there are through within a dial's time
    )
    handshakes_per_loopback: float = 150.0  # by this machine, where a whole swarm may be
    sources: int = 1024  # of whose handshakes is remembered how many they were
    proof_linger: float = (
        0.5  # a link made only for a proof may be used this long: a proven head is asked at once
    )
    half_open: int = 256  # handshakes of strangers that wait for their last message, per hosted peer
    half_open_seconds: float = 5.0  # a stranger's connection lives as long
    # Dials because somebody claims a proven address with another key, per hosted peer. Each costs him as much as the dial; with
    # fewer he could use them up cheaply, so that a peer that came back with another key is kept out.
    rechecks_per_second: float = 20.0
    busy_retry: float = 0.25  # a HELLO that was refused as busy, or not taken by the endpoint, is said again
    blocked_retry: float = (
        0.02  # frames that a full connection did not take are offered again; a flush of 1 MiB
    )
    redial_interval: float = (
        1.0  # at most one automatic new dial per peer, when its other end forgot the link
    )
    fair_quantum: int = 4 * KIB  # bytes a source may send per turn: a dozen small messages
    max_links: int = 1024  # per hosted peer: five times known_peers, for strangers that link with us
    max_dials: int = 256  # per hosted peer, at the same time; above known_peers, so only floods meet it
    dials_to_proven: int = (
        32  # beyond that, to peers that were proven: naming addresses that nobody has uses up none of these
    )
    host_dials: int = 64  # at once, to addresses of one host at which nobody was proven; a few joins at once
    host_dial_rate: float = 4.0  # a second, after that; those at which a peer answers do not count
    dialled_hosts: int = 4096  # hosts of which that is remembered
    max_proofs: int = 4096  # remembered; an older one is proven anew


class EndpointLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The shared sockets of a worker."""

    high_water_mark: int = 64  # messages, back-stop only
    unauthenticated_seconds: float = 5.0
    unauthenticated_per_source: int = 16
    unauthenticated_per_loopback: int = 1024
    unauthenticated_descriptor_share: float = 0.25
    connection_descriptor_share: float = 0.5
    max_connection_backlog: int = 1 * MIB  # bytes waiting for a peer that does not read
    retry_full_pipe: float = 0.005
    flush_bytes: int = 64 * KIB  # frames to one connection are joined up to this size
    retry_full_pipe_max: float = 0.32  # the pause doubles while a connection takes nothing
    stalled_seconds: float = 10.0  # then it is closed; links give up after 4 s
    connect_timeout: float = 2.0  # TCP alone; a dial into the void is silent (design section 2)
    unauthenticated_frame: int = 4 * KIB  # a stranger needs HELLO or PROVE, both well below 2 KiB
    unauthenticated_bytes: int = (
        256 * KIB
    )  # some hundred peers may greet over one connection before the first is through
    unused_seconds: float = (
        1.0  # a connection nobody uses is kept this long, so that bursts of proofs share it
    )
    linger: float = 0.5  # a closed connection may take this long to hand its last bytes to the kernel
    sweep_interval: float = (
        1.0  # expired strangers, unused connections and lingering ones are looked for this often
    )
    chunks_per_turn: int = (
        512  # received before the loop serves others; a chunk is at most 8 KiB, so some 5-20 ms
    )
    hints_per_second: int = (
        256  # UNKNOWN and REFUSED, per connection, each way; a restarted peer has this many links
    )
    max_indexes: int = 1 << 18  # 1,024 links for each of 256 hosted peers
    max_descriptors: int = 1 << 20  # what we raise the soft limit to at most; Linux refuses more by default
    reserved_descriptors: int = 64  # interpreter, event loop, libzmq, control and bus sockets, logs
    listen_backlog: int = 1024  # a mass join dials faster than libzmq accepts; its default is 100
    rebind_patience: float = (
        0.1  # libzmq closes a listener on its own thread, within a millisecond when not starved
    )
    rebind_pause: float = 0.001  # between two tries
    eviction_share: int = 64  # when connections run out, one in this many is closed, so that looking is rare
    index_attempts: int = (
        64  # a full table of max_indexes hits one taken of 2^32 at most once in 16,384 tries
    )
    ipv6_site_bits: int = 64  # what one IPv6 subscriber has at least (RFC 6177) counts as one source
    context_sockets: int = 16  # of libzmq: listener, dialer and the dialer's monitor, with room to spare


class FaultLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Faults between peers, as tests set them."""

    void_dial: float = (
        2.0  # EndpointLimits.connect_timeout: a dial over a cut fails as late as one into a void
    )
    patience: float = (
        10.0  # seconds a cut holds what was sent; links give up after 4, then nobody waits for it
    )
    max_held: int = 1 * MIB  # bytes held back for one link; four times what it may have unacknowledged
    retry: float = 0.02  # LinkLimits.blocked_retry: a frame whose delay is over finds its connection full
    max_delay: float = 60.0  # seconds; links give up after 4, so more is a partition by another name
    max_occurrences: int = (
        10_000  # of one entry of a timeline, about: one a second for almost three hours, 80 MB of names
    )
    at_once: int = (
        64  # occurrences and expectations under way; the next one waits, as LAUNCHER.commands has it
    )
    expect_poll: float = 0.5  # seconds between two looks whether an expectation has come true
    probes: int = (
        20  # messages or lookups by which an expectation is judged: one in twenty may be told from none
    )
    probe_timeout: float = 10.0  # seconds for each of them, and for the broadcast
    pareto_shape: float = 3.0  # Yao, Leonard, Wang, Loguinov: Modeling Heterogeneous User Churn (ICNP 2006)
    churn_keeps: int = 2  # peers that churn leaves alive of a swarm: one of them alone is no ring


class TrialLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Peers that do harm on purpose, in tests."""

    delay: float = 2.0  # seconds a relay keeps messages; a sender repeats them after 0.5 to 3
    delayed: int = 4096  # messages kept at once; what comes on top is dropped. A guess: 2,000 a second
    replayed: int = 64  # messages remembered for being said again; a guess


class BroadcastLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Broadcasts: down the tree, then by digests. Facts section 2 unless another source is named."""

    seconds: float = 120.0  # a body is signed for this long; clocks may differ by KeyLimits.clock_skew on top
    ids: int = 4096  # remembered until they expire; for earlier ones of the same origin there is a floor then
    origin_ids: int = 1024  # of one key, and never more than are free for others
    origins: int = 16384  # lives of origins of which floors are known; the next is refused until one expires
    key_lives: int = 16  # of one key, of those; who restarts more often than that in ten minutes waits
    log_bytes: int = 2 * MIB  # payloads kept for those who lack them; 64 of the largest
    log_share: int = 8  # one key alone may have 8/9 of that
    log_seconds: float = (
        60.0  # each is kept; all digest rounds are over within 2 log2 N * 2.5 s, 50 s at N = 1000
    )
    timeout: float = 15.0  # default of broadcast(timeout=): claims take 10 s at most, a sample 1 more
    own: int = 256  # own ones whose fate is open; the next fails
    delegates: int = (
        8192  # whose acks are awaited, of all broadcasts; more are served without waiting for theirs
    )
    extensions: int = 16  # hand-overs one peer may serve for one broadcast; r delegates in a row may be dead
    given_up: int = 256  # delegates of one interval, then no others are looked for; digests remain
    tries: int = 4  # of one delegate, then its interval is handed over
    first_wait: float = 4.5  # for the first ack: links tell of a dial that failed after 4 s (dial_timeout)
    retry: float = 1.0  # for the acks of the others
    report: float = 10.0  # until the origin no longer waits for claims; 0.5 s less for each hop down the tree
    report_step: float = 0.5  # so that peers below report before those above give up
    report_min: float = 2.0
    checks: int = 1024  # signatures the negotiator has been asked about
    check_bytes: int = 8 * MIB  # of the bodies that wait for that
    check_seconds: float = (
        5.0  # a negotiator that restarted is asked anew; one that is silent is not waited for
    )
    check_rate: float = 50.0  # bodies a second from one link that are not right; 0.1 ms each
    check_burst: int = 256
    links: int = 1024  # whose rates are kept: max_links
    sample: int = 16  # signed acks that are expected
    samples: int = 64  # that are verified, of one broadcast: forgers cannot cost its origin more
    sample_wait: float = 1.0  # for signed acks, once all claims are in
    leaving: float = 0.5  # until it has left its origin; a signature and some turns of actors
    settled: float = 1.0  # after this it is in digests; a tree of 1,000 on two busy cores is done by then
    round: float = 2.0  # seconds between two digest rounds, jittered by a quarter
    round_factor: int = 2  # rounds at most, times log2 N
    # Rounds without anybody who lacks it, then a broadcast is in no more digests. Each goes to another successor and a finger, so
    # with 20% who keep all to themselves one in a million is missed.
    quiet_rounds: int = 6
    digest_ids: int = MAX_DIGEST  # in one digest, the newest
    digest_rate: float = (
        2.0  # digests and pulls a second from one link, each; honest ones send 1 and some answers
    )
    digest_burst: int = 16
    ask_again: float = (
        6.0  # until a peer that announced something and did not give it is asked again; three rounds
    )
    pull_bytes: int = 256 * KIB  # bodies sent for one pull; the rest is pulled in the next round


class ServiceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Services of peers: channels and names."""

    waiting: int = (
        256  # messages of others that wait for a service, or for its actor to start: further ones are refused
    )
    timeout: float = 10.0  # seconds a service message has to be delivered; a first contact takes some tenths
    find: float = 5.0  # seconds the ring has to name an owner


class ChannelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Channels. Times are seconds; guesses that the simulator agrees with, unless a source is named."""

    name: int = 64  # characters of a channel's name
    joined: int = 64  # channels of one peer's application
    channels: int = 256  # with those that a peer serves because it owns their places
    channels_of_peer: int = 16  # that are served here on the word of one peer
    children: int = 8  # 8**3 = 512 members are within three links of the root
    spare_children: int = 4  # further ones, for who was refused all over the tree before
    children_of_host: int = 4  # so that one host cannot take all places below a peer
    depth: int = 16  # peers on the way from the root; three or four are usual
    spare_attempt: int = 2  # from this attempt on a spare place is given
    candidates: int = 64  # that one search for a parent may ask, whatever others name
    askers: int = 32  # who wait until the ring has said whether this peer is the root
    find: float = 10.0  # for the ring's answer
    answer: float = 5.0  # for the answer of who might be the parent; a session may have to be made
    retry: float = 0.5  # until a search that failed begins again; doubled each time, jittered by half
    retry_most: float = 8.0
    refresh: float = (
        5.0  # between two words to the parent, jittered by a fifth; the root asks the ring as often
    )
    lease: float = 15.0  # a neighbour that said nothing for three refreshes is gone
    push: float = 1.0  # news of who is there wait this long for more of it
    check_owner: float = 1.0  # between two questions to the ring that others cause
    send: float = 30.0  # a message whose fate nobody told is taken for lost
    outstanding: int = (
        256  # messages on their way to one neighbour: one that is slower attaches anew and is filled in
    )
    sends: int = 4096  # messages on their way, to all

    waiting: int = 1024  # messages of one channel that an application has not taken; the oldest are given up
    payload: int = 24 * KIB  # of a message, which fits into one frame with its record
    seconds: float = 120.0  # a message is signed for this long, as a broadcast is
    log_messages: int = 1024  # kept for those who lack them, of one channel
    log_bytes: int = MIB  # payloads of those
    log_seconds: float = 60.0  # each is kept: a part of the tree that is cut off for longer misses something
    lives: int = 512  # of origins that are remembered, of one channel
    key_lives: int = 8  # of one key, of those
    window: int = 256  # numbers of one life that may be missing before the oldest is given up
    spans: int = 256  # in one summary of a log: one for each origin that spoke in the last minute
    wanted: int = 2048  # numbers looked at for one summary
    fill_bytes: int = 256 * KIB  # sent for one summary; the rest follows at the next
    fill_messages: int = 128
    compare: float = 10.0  # between two comparisons with a member that is no neighbour, jittered by a fifth
    asked: float = 10.0  # messages are taken from who was compared with for this long
    repair: float = 0.5  # after a gap shows, others are asked for what is missing; and again, doubled
    repairers: int = 3  # members that are asked then, besides the parent
    withheld: float = (
        5.0  # a message that others brought this much later is one that the parent should have brought
    )
    strikes: int = 3  # such messages in one window, then another way to the root is looked for, once
    window_seconds: float = 20.0
    windows: int = 3  # in a row with cause, then the root itself is passed over
    compare_soon: float = (
        2.0  # until the next comparison, when the last one showed what the tree should have brought
    )

    hold: float = 10.0  # a message that came early waits for those before it; a repair takes some of it
    held: int = 128  # of one origin
    held_bytes: int = 128 * KIB
    holding: int = 64  # origins of which something is held back

    posts_rate: float = 20.0  # messages a second from one neighbour that are not new; 0.1 ms each
    posts_burst: int = 512  # a neighbour that fills in does not know what came meanwhile
    origin_rate: float = 50.0  # messages a second of one origin that are passed on
    origin_burst: int = 256
    asks_rate: float = 4.0  # other words a second from one peer
    asks_burst: int = 32
    peers: int = 1024  # whose rates are kept
    banned: float = (
        300.0  # who passed on a wrong signature, or withheld messages, is no neighbour for this long
    )
    silences: int = 3  # questions in a row that an owner takes and does not answer, then it is passed over
    heirs: int = 4  # who follow the owner of a place, and may stand in for it
    pleas: int = 3  # hosts that take nothing from it, then a follower does
    bans: int = 256

    names: int = 256  # of members, in one report: with hidden ones 17 KB
    members: int = 1 << 24  # more are not believed
    carried: float = (
        2.0  # a block that ends, or a peer that closes, waits so long until another has what it said
    )
    grace: float = 20.0  # a member that nobody reports any more has left; parts that attach anew take less
    redirects: int = 16  # peers named to one who is refused


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """End-to-end delivery."""

    hop_limit: int = 48  # greedy paths at N = 16384 stay below 12; the rest is for rings in repair
    timeout: float = 10.0  # default of send(timeout=)
    copies_max: int = 16  # per attempt; more disjoint first hops than r = 16 do not exist near a sender
    attempts: int = 6
    coloured: bool = True  # False: plain Chord with excluded first hops, to compare with
    direct: bool = (
        True  # False: what this peer sends goes over a relay even to peers it knows, to measure paths
    )
    copies_rising: tuple[int, ...] = (1, 2, 4)  # by default: after no, one, two losses of the message or more
    colours_least: int = 2  # so that a single copy has a path of its own, too, and the next one another
    # Ways by which the first word on an attempt of several copies goes back, for each copy: 1,000 peers, 30% of which drop, four
    # copies: 12% of attempts went unacknowledged with one, 9% with two, and 8% did not arrive.
    acks_per_copy: int = 2
    way_seconds: float = (
        120.0  # a proven way is taken again for so long, as long as a session: relays can link its uses
    )
    retry_share: float = 0.5  # retries for each message sent, in the long run; a storm of them ends itself
    retry_share_pressed: float = 0.1  # while destinations are busy or round trips rise
    retry_rate: float = (
        10.0  # retries a second that are allowed anyhow; Finagle's RetryBudget has the same ten
    )
    retry_burst: int = 256  # retries at once: a second's worth of a peer that sends a lot
    pressed_seconds: float = 2.0  # after the last sign of it
    traces: int = 1024  # settled messages, of whose other copies there may still be word
    trace_seconds: float = 2.0  # until what is not heard of is lost; four round trips of a slow path
    retry_first: float = 1.0  # before a round trip to the destination was measured
    retry_floor: float = 0.5
    retry_ceiling: float = 3.0
    denied_retry: float = (
        0.05  # first pause after a denial, doubled: a peer that has just joined is known that soon
    )
    no_such_peer_after: float = (
        1.0  # a ring in repair may deny a peer that exists; deny only after asking again
    )
    # The same of a peer with which there is no session: it may have just joined. Its successor and its predecessor dial it before
    # the ring knows it, 9 to 12 trips: 2.8 s when it is 0.3 s from all others, 3.6 s when all are so far from each other.
    newcomer_after: float = 4.0
    newcomer_trips: float = 6.0  # or for so many round trips of a denial, if that is longer
    newcomer_most: float = 8.0  # but no longer: less than the default of send(timeout=)
    pending_sends: int = 65536  # of one peer, whatever its process lets in
    pending_bytes: int = 64 * MIB  # payloads of messages not settled yet; as much as a mailbox
    pending_here: int = 16384  # messages not settled yet, of all peers of a process; 2 KB each
    pending_here_bytes: int = 256 * MIB  # of payloads; as much as fragments that wait to be put together
    # Of those, however slowly they are delivered: two processes clear as many in 3 s, at 320 first contacts a second.
    pending_least: int = 512
    pending_seconds: float = 2.0  # beyond that: as many as are delivered in this time; recovery takes as long
    pending_interval: float = 1.0  # over which that rate is measured
    pending_share: int = 8  # one peer alone may have 8/9 of them
    pace_first: int = 256  # messages in flight from one process, before any delay was measured
    pace_least: int = 64
    pace_most: int = 16384
    pace_interval: float = 0.25  # seconds between two looks at round trips
    pace_delay: float = 0.25  # seconds on their way that never shrink the window; links time out after one
    pace_stretch: float = 4.0  # nor those up to this times the shortest
    pace_decrease: float = 0.75
    pace_increase: float = 1.25
    pace_memory: float = 15.0  # the shortest round trip is that of the last 15 to 30 seconds without pressure
    contacts: int = 4096  # destinations whose round trip is remembered
    sessions: int = 4096  # at one peer; the one unused longest is given up, and negotiated anew when needed
    unconfirmed: int = (
        512  # of those, opened by others and without a frame yet: strangers push out strangers only
    )
    acks_remembered: int = 512  # attempts whose later copies are known as such; 0.6 KB each
    hints_per_second: float = (
        20.0  # NoSuchSession and reports of altered copies, each; a dozen correspondents
    )
    hints_burst: int = 64
    renegotiate: float = (
        1.0  # seconds between two negotiations with one peer because of hints; its retries wait as long
    )
    prepare_patience: float = (
        6.0  # until the negotiator is asked again; a dial takes 4 s, and one that crashed forgot
    )
    refused_retry: float = 0.5  # then a key that was not found is looked for again
    fetches: int = 256  # questions for records, at once; they are short
    fetch_seconds: float = 1.0  # the first answer of a ring of 1,000 comes within 0.1
    fetch_spare: float = 0.4  # then one more place is asked, if an answer is missing
    fetch_points: int = 4  # places asked at most: one more than needed, because two may have one owner
    fetch_spacing: float = 3.0  # mean gaps between two of them; all lie within r = 16 of the place
    dedupe_ids: int = (
        65536  # consecutive ids remembered per origin: pending_sends, so no live message falls below
    )
    dedupe_origins: int = 4096
    dedupe_hidden_share: float = (
        0.25  # of them: whom nobody can dial has as many names as it makes keys, in no time
    )
    dedupe_stranger_share: float = 0.75  # for all first contacts together; the rest is for whom a pin knows
    dedupe_seconds: float = 60.0  # an origin silent for this long may be forgotten; copies live a few seconds
    mailbox: int = 8192  # messages; the default of an application that names no other
    mailbox_bytes: int = 64 * MIB
    mailbox_most: int = 1 << 20  # messages, of what an application may ask for
    mailbox_most_bytes: int = 1 << 30
    mailbox_share: int = 8  # one sender alone may hold 8/9 of a mailbox; the rest is for the others
    credit_first: int = 256  # messages to a destination that leave before its first word on its mailbox
    credit_most: int = 8192  # told at once, however large a mailbox is
    credit_quantum: int = (
        64  # a sender that was refused is called back for so many: no word for each message read
    )
    recalls: int = 4096  # senders that wait to be called back; as many as there are sessions
    waiting_sends: int = (
        4096  # messages that wait at the sender for one destination's mailbox; half of a mailbox
    )
    refusals: int = (
        32  # times one message may meet a full mailbox; each attempt is remembered until it settles
    )
    probe_first: float = (
        0.5  # seconds until a message tries whether a full mailbox has room, doubled each time
    )
    probe_ceiling: float = (
        4.0  # the word that there is room was lost then; a default timeout has room for two
    )
    broadcast: BroadcastLimits = BroadcastLimits()
    tickets: int = 8192  # messages whose verdict is awaited; the next is answered BUSY
    ticket_seconds: float = 10.0  # a verdict this late is for nobody: its sender's timer has fired
    lost_hop_seconds: float = (
        2.0  # a lost next hop that the ring still lists is tried again; a dial takes this long
    )
    detours: int = 1024  # messages whose failed hops are remembered; only re-routed ones are
    batch: int = 256  # due messages one call of the Router handles: 5 ms at 20 us each


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that wait for replies, of one peer."""

    pending: int = 8192  # as many as a mailbox holds replies; 1 KB each, besides what they carry
    remembered: int = 8192  # numbers of those that are over, to tell late replies from strange ones


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in fragments, and those that wait for others of their sender. Bytes where nothing else is said."""

    pending_bytes: int = 64 * MIB  # payloads that one peer sends in fragments; as much as a mailbox
    # A destination's congestion window. RFC 6928 begins with ten small segments; a fragment has as many bytes as 22.
    window_initial: int = 128 * KIB
    window_min: int = 64 * KIB  # two fragments: the second one's ack shows when the first is lost
    window_max: int = 1 * MIB  # LinkLimits.max_queued: what is beyond it could only be dropped there
    delay_target: float = 0.1  # seconds of queueing that a transfer may cause; RFC 6817 has at most as much
    base_seconds: float = 60.0  # the least round trip of this span and the last is that of an empty way
    flows: int = 1024  # destinations whose window is remembered
    rounds: int = 6  # how often a message begins because its destination lost the fragments: as attempts
    held_bytes: int = 256 * MIB  # received and unfinished, by all peers of one event loop (design section 6)
    stranger_share: float = 0.25  # of it, for all first contacts together (design section 6)
    finish_bytes: int = 17 * MIB  # of both, to finish one message at a time: the largest, and overheads
    finisher_seconds: float = 2.0  # without a fragment of that one, then it is another's turn
    sender_bytes: int = 32 * MIB  # of it, for one sender at one peer; the next two must fit into it
    lane_bytes: int = 20 * MIB  # messages to one destination at once, the next waits: the largest and more
    line_bytes: int = 8 * MIB  # ordered messages of a sender held back: those before them have room
    busy_attempts: int = 32  # of a fragment for which there is no room: 90 s, for others need seconds
    held_overhead: int = 1024  # charged for each fragment or message beside its bytes: objects around them
    handing_pause: float = 0.25  # seconds between two times that a mailbox's owner is offered one message
    idle: float = 30.0  # seconds without a new fragment, then the others are given up (design section 6)
    finished: int = 4096  # complete messages that are remembered; 0.3 KB each
    lines: int = 4096  # senders of which is remembered which of their ordered messages came last
    line_messages: int = 1024  # that one of them may have held back

    def __post_init__(self) -> None:
        fragments = 2 * self.lane_bytes // WIRE.max_payload  # at most: a message has one short one
        if self.lane_bytes + fragments * self.held_overhead + self.line_bytes > self.sender_bytes:
            raise ValueError("messages of one sender would wait for room that they hold themselves")


class NatLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Port mapping: how long the router may take, how often it is asked. Seconds unless a comment says otherwise."""

    lease: int = 3600  # asked for; what most clients ask, half of what RFC 6886 section 3.3 recommends
    least_lease: float = 1.0  # granted; a router that grants less grants nothing
    most_lease: float = 86400.0  # a longer one is renewed as if it were this long: its clock may be nonsense
    pcp_deadline: float = 4.0  # in all, resends included. The router is a millisecond away
    natpmp_deadline: float = 8.0  # the first five sends of RFC 6886 section 3.1 take 7.75 s
    upnp_deadline: float = 15.0  # search, description and four SOAP calls; the library waits 5 s for each
    unmap_deadline: float = 1.0  # nothing depends on it but the router's tidiness
    check_deadline: float = 6.0  # of a look at a mapping; the library waits 5 s for a frozen router
    gateway_deadline: float = 2.0  # reads a file
    unmapped_grace: float = (
        20.0  # a peer whose mapping is lost keeps its address so long: a router that boots maps it again
    )
    # A peer makes way for another of its network that it could not dial so often, and that is named by others this long after the
    # first time: one that is dead is out of their lists by then (they notice it within 10)
    beside_failures: int = 2
    beside_span: float = 15.0
    beside_memory: float = 120.0  # without a failure, then they are counted anew
    besides: int = 16  # peers of its network that it counts failures of
    yielding: float = 300.0  # then it stays hidden so long, twice as long each time it happens again
    yielding_most: float = 3600.0  # at most, and after so long without it the first pause is due again
    reopening: float = (
        5.0  # before a watched address whose watch failed is watched again; relays dial it as often
    )
    knock: float = 1.0  # for the answers of all protocols
    search: float = 2.5  # for UPnP devices; the standard lets them take MX = 1 s
    search_more: float = 0.2  # when one has answered, for a better one
    overdue: float = 1.0  # the helper may be so much late; then it is killed
    helper_start: float = 10.0  # and so much more with its first answer: it takes 0.2, on a busy machine 2
    resend: float = 0.25  # before the first resend, doubled each time (RFC 6886 section 3.1)
    stop: float = 2.5  # to delete all mappings at the end; the whole end may take 3 (design section 7)
    stop_open: float = 0.5  # of these for a request that is under way
    # Renewals: in this share of the lease, at random, again in the same share of what is left (RFC 6887 section 11.2.1)
    renew_from: float = 0.5
    renew_to: float = 0.625
    renew_pause: float = 4.0  # at least, between a renewal that failed and the next (RFC 6887 section 11.2.1)
    check: float = 10.0  # between two looks at a mapping, so that a reboot is seen within 20 and another address within 30
    recheck: float = 2.0  # after a look that nobody answered
    silent_checks: int = 4  # in a row, until the mapping counts as lost; with time-outs 24 s or more
    gateway_look: float = 5.0  # between two looks at the routing table
    knock_pause: float = (
        10.0  # between two knocks at a router that maps nothing, so that one that boots is used within 30
    )
    quick_retries: tuple[float, ...] = (3.0, 6.0, 12.0)  # pauses after the first failures: routers boot
    backoff_first: float = 300.0  # pauses after those, doubled, and shortened by up to half at random
    backoff_most: float = 7200.0
    announced_pause: float = (
        5.0  # announcements make all mappings renewed at most this often: anybody can send them
    )
    clock_slack: float = 2.0  # a router's epoch may differ by so much for no reason (RFC 6887 section 8.5)
    port_tries: int = 6  # external ports tried with UPnP; syncthing tries 10, go-libp2p 3
    first_other_port: int = (
        10000  # of the pseudo-random ones, up to last_other_port: below the usual ephemeral ports
    )
    last_other_port: int = 32767
    devices: int = 4  # UPnP devices that are looked at
    search_answers: int = 32  # read of one search
    datagrams: int = 64  # read of one PCP or NAT-PMP exchange, most of which must be junk by then
    max_ports: int = 1024  # mapped by one mapper
    max_deletions: int = 2048  # waiting: all ports of two networks
    max_frame: int = 64 * KIB  # between the helper and its owner
    announced_queue: float = 1.0  # the helper passes on one announcement in this time
    owner_look: float = (
        1.0  # between two looks of the helper whether its owner lives, should the pipe not tell
    )
    helper_end: float = 0.3  # from closing its pipe to killing the helper
    mapping_wait: float = 40.0  # of PortMapping: a knock and all three protocols one after another


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Records, handshakes, sessions."""

    record_bytes: int = 1024  # of a record; the longest name and swarm name, of 4-byte characters, with three vouchers make 961
    succession_bytes: int = 160  # two keys, a signature and their frame make 133
    clock_skew: float = (
        300.0  # seconds that two clocks may differ; Kerberos (RFC 4120) has the same five minutes
    )
    replay_window: int = 8192  # frames of a session that may be overtaken; WireGuard's window
    session_frames: int = 1 << 32  # of one direction; far below what ChaCha20-Poly1305 bears
    passphrase_passes: int = 3  # of Argon2id; libsodium's OPSLIMIT_MODERATE, 0.7 s on 2024's desktops
    passphrase_memory: int = 256 * MIB  # bytes of Argon2id; libsodium's MEMLIMIT_MODERATE

    record_seconds: float = 86_400.0  # a record's life; a peer that is away for a day is dialled anew
    record_renewal: float = 3600.0  # seconds after which a peer signs a new one; 16 us an hour
    records_remembered: int = (
        8192  # whose signatures a process need not verify again; 1,000 peers show 8 each
    )
    shared_addresses: int = 1024  # where peers were met with whom keys are shared by id; a guess
    # Frames of a link, then its keys are set up for speed, which takes 5 KiB: a busy relay's links get there within
    # seconds, those that only keep a ring in hours.
    keyed_after: int = 4096
    rekey_frames: int = 1 << 20  # of a link in one direction, under one key
    rekey_seconds: float = 3600.0  # of a link under one key
    session_renewal: float = 120.0  # seconds an active session lives; WireGuard's REKEY_AFTER_TIME
    session_reject: float = (
        180.0  # seconds after which an old session opens nothing; WireGuard's REJECT_AFTER_TIME
    )
    file_bytes: int = 4 * MIB  # of any key file; a full trust file has 3
    pins: int = (
        8192  # kept in one trust file; then the oldest of first use go. A guess: eight swarms of 1,000
    )
    lock_wait: float = 5.0  # seconds to wait for other writers of a trust file, who take 0.05
    passphrase_characters: int = (
        16  # at least; five words. A guess: a leaked handshake allows guessing at leisure
    )
    responder_renewal: float = (
        150.0  # an initiator renews first; a responder only when nobody did, so that two do not cross
    )
    handshakes: int = 1024  # of this peer: open ones, those whose keys are looked for, and those that wait
    # First contacts under way on one event loop: each costs some 4 ms of processor time for all that take part, so 16 take
    # 0.07 s on one core, and a window that the loop can bear within ``window_fast`` is about 100.
    window_initial: int = 16
    window_min: int = 4
    window_max: int = 256
    window_retry: float = (
        0.05  # seconds until whoever waits looks again: others' contacts end without his knowing
    )
    window_fast: float = (
        0.5  # seconds from beginning to end that let the window grow; an idle ring of 1,000 needs 0.1
    )
    # Longer than this halves it. With 30% bad relays most take 1.0: a question for the record (fetch_seconds) is not answered.
    window_slow: float = 2.5
    window_pause: float = 1.0  # seconds between two halvings: what is slow together was begun together
    handshake_seconds: float = 15.0  # an open one is forgotten; messages wait 10 s by default
    handshake_doubt: float = (
        1.0  # unanswered this long, the peer at a pinned address is dialled: its key may have changed
    )
    try_rate: float = (
        1000.0  # messages 1 a second that are looked into; what is not right costs 0.1 ms: a tenth of a core
    )
    try_burst: int = 1024
    try_link_rate: float = 250.0  # of which so many over one link: neighbours hand on what others send
    try_link_burst: int = 256
    links: int = 1024  # whose shares are remembered: LinkLimits.max_links
    accept_rate: float = 100.0  # handshakes a second from all others, 0.4 ms each
    accept_link_rate: float = 50.0  # of which so many over one link
    accept_link_burst: int = 128
    accept_host_rate: float = 400.0  # by all peers of one event loop: a sixth of a core, whoever asks
    accept_host_burst: int = 256  # 0.1 s; a longer stall would make links doubt
    accept_burst: int = 256
    accept_key_rate: float = 2.0  # of which one key gets so many: a retry repeats the same bytes
    accept_key_burst: int = 16
    told_rate: float = (
        0.1  # refused handshakes a second of which an event tells, and claims of pinned addresses
    )
    told_burst: int = 16
    accepted_keys: int = 4096  # keys whose handshakes are counted and whose times are remembered
    answers: int = 1024  # answers kept, to say them again when message 1 comes twice
    answer_seconds: float = 30.0
    neighbours: int = 64  # whose records are kept: twice 2r
    # Seconds that a neighbour's record still is good when it is asked for a new one. Its link's proof is then older than half
    # of a record's life, so that it is dialled.
    neighbour_renewal: float = 39_600.0
    neighbour_pause: float = 30.0  # between two such questions: all were met at once when the ring formed
    neighbour_retry: float = 3600.0  # until one that gave no answer is asked again


class LodgingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Peers that nobody can dial, and the relays over whose links they are reached. Times in seconds."""

    relays: int = 3  # that a hidden peer wants (design section 7: 2 to 3)
    lodgers: int = 64  # hidden peers that one relay serves (design section 7)
    lodgers_per_source: int = 4  # of one source address (design section 7)
    newcomers: int = 8  # of the lodgers: those that came last make way for others, so nobody has all places of a relay for good
    newcomer_seconds: float = (
        60.0  # that each has its place at least: it costs others as much to make it move as it costs it
    )
    voucher_seconds: float = 600.0  # a voucher's life (design section 7)
    voucher_longest: float = 900.0  # that anybody's clock may give it: half as much again as it has
    voucher_bytes: int = 192  # with the longest address 159
    renewal: float = 300.0  # after which a voucher is renewed: half its life, so one failure costs nothing
    dial_back_pause: float = (
        5.0  # between two requests to be dialled; a router that boots takes some to map again
    )
    publishing: float = 60.0  # between two publications: neighbours of the place come and go
    search: float = 0.5  # before it is published again, since nobody showed the record; doubled each time, up to ``publishing``
    patience: float = 2.0  # for a relay's answer, handshake included
    pause: float = 5.0  # before candidates that refused or failed are asked again
    candidates: int = 64  # that a hidden peer remembers
    named: int = 16  # members that a relay names to whoever asks
    records: int = 1024  # of hidden peers that one member keeps; 1 KiB each
    keepers: int = 16  # r: successors of a place that keep the record of a hidden peer there
    homes: int = 512  # hidden peers of which is remembered where they lodge; 0.5 KiB each
    hearsay: int = 256  # hidden peers of which an unproven message said so last
    request_rate: float = 1.0  # requests of one lodger a second; it renews twice in ten minutes, and asks to be dialled once in 5 s
    request_burst: int = 8
    stranger_rate: float = (
        20.0  # requests of all others at one source a second, each of which may cost a signature
    )
    stranger_burst: int = 64
    stranger_sources: int = 1024  # of which that is remembered: max_links
    find_rate: float = 5.0  # lookups of one lodger a second
    find_burst: int = 32
    finds_each: int = 32  # that one lodger has open
    put_rate: float = (
        4.0  # records that one neighbour passes on a second; in a ring of two with all places taken 2
    )
    put_burst: int = 64
    puts: int = 64  # records that are being checked
    dialled_pause: float = 4.0  # a lodger is dialled back no sooner than this after the last time
    dialled_sources: int = 256  # of which is remembered how often somebody there was dialled of late
    finds: int = 256  # lookups that a hidden peer, or a relay for all that it serves, has open
    route: int = 16  # peers of a lookup's route that a relay tells; paths among 10,000 have 5 in the mean


class NameLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The directory of names. Times in seconds."""

    name_bytes: int = 64  # of a name in normal form, UTF-8; a label of the DNS has 63
    record_bytes: int = 576  # the longest name, address and swarm name, of 4-byte characters, make 519
    message_bytes: int = 608  # a record and what is around it
    lease_min: float = 60.0  # below it renewals, each of which costs r messages, would be most of the traffic
    lease_max: float = 86_400.0  # a name whose owner is gone for good is free after a day and the skew
    replicas: int = 3  # r; docs/names.md has what 2 to 5 lose when 30% of 200 die at once
    settle: float = (
        3.0  # in which the smaller hash wins over whoever came first; a slow lookup and its message take 2
    )

    lease: float = 3600.0  # unless the owner says otherwise; two renewals an hour
    ask: float = 2.0  # for a replica's answer: a dead one is noticed by its link in 1 or 2
    find: float = 5.0  # for a lookup
    farewell: float = (
        2.0  # that closing waits for the replicas of a name that was given back; far away it takes 1.5
    )
    refresh: float = 60.0  # between two times that an owner brings its record to whoever keeps it now; r messages and a lookup
    retry: float = 5.0  # before a renewal that too few replicas took is tried again
    repair: float = (
        30.0  # between two looks of a replica at one of its names; a lookup and r-1 questions each
    )
    look_rate: float = 20.0  # such looks a second; a node with more names than 600 looks at each more rarely
    doubt: float = (
        60.0  # for which most replicas must name another before an owner gives a name up; two of their looks
    )
    repair_tries: float = 2.0  # until a look that failed is repeated: after a crash lookups fail for seconds
    cached: float = (
        5.0  # that a resolved record is believed without asking again; then an owner that moved is found anew
    )
    cache: int = 1024  # resolved records that are remembered; 0.5 KiB each
    own: int = 32  # names that one peer registers
    waiting: int = 1024  # lookups and questions that are open at the same time; more are refused
    puts_waiting: int = 256  # records that wait for a lookup whether they belong here, of ``waiting``

    held: int = 4096  # records that one node keeps; 1 KiB each with what is around them
    held_share: int = 1  # one sender may have brought as many as there are free: half of all
    held_by_key: int = 32  # of one owner's key; in a ring of three that is all its names
    key_rate: float = 1 / 30  # new names of one key a second at one replica, which sees r/n of them
    key_burst: int = 16
    put_rate: float = 32.0  # records of one sender a second that are looked into, 50 us each for a signature
    put_burst: int = 512  # a node that has changed its place brings each neighbour what it kept
    sender_rate: float = (
        4.0  # new names a second that one sender brings; a neighbour hands over 128 at once, then so many
    )
    sender_burst: int = 128
    metered: int = 4096  # keys, and senders, whose rates are remembered; the oldest go


class ActorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Actors and their inboxes."""

    inbox: int = 16384
    inbox_reserve: int = 16384  # more, for what is not bulk: an actor's own orders outlive a flood
    ahead: int = 1024  # received messages a peer's router may have before it; then its links are not read
    batch: int = 128  # messages one actor may handle before the others have a turn
    # Messages of all actors between two polls of the sockets, some 20 ms under full load. What leaves together is cheaper:
    # relay benchmark, one run: 40 k hops/s at 256, 47 k at 1,024, 57 k at 2,048. Beyond 1,024 time-outs come too close.
    turn: int = 2048
    cascade: int = (
        512  # messages handled in the wake of one actor's turn: what one chunk of frames leads to, and some
    )
    ask_timeout: float = 5.0
    acquaintances: int = (
        4096  # peers that the hook ``new_peer`` was called for; many times those known at once
    )
    prefetch: int = 16  # messages a subscriber has in its inbox: enough that it never waits for the loop to bring the next
    prefetch_most: int = 1024  # a mailbox that is emptied into an inbox keeps no sender back
    inbox_retry: float = 0.05  # seconds until a full inbox is tried again
    ended_look: float = (
        1.0  # seconds between two looks whether an actor that cannot be watched (Pykka's own) has ended
    )
    stall: float = 0.05  # seconds the loop may be late before it counts as stalled; two full turns
    clock_tick: float = (
        0.05  # seconds between two looks for a stall; 20 wake-ups a second cost 0.02% of a core
    )
    drain_polls: int = 3  # after a stall, polls of the sockets before deadlines fire: read, decode, route


class RemoteLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Exported actors and those who talk to them from other processes."""

    max_path: int = (
        106  # bytes of a socket's path; Linux has room for 108 with the closing zero, libzmq uses one more
    )
    max_message: int = 64 * MIB  # snapshots of 1,000 peers with all their tables are under 4 MB
    pending: int = 1024  # requests in flight, per client and per exported actor
    clients: int = 256  # of one exported actor; the CLI, the visualizer and a few applications
    reads: int = 64  # requests taken in before the rest of the loop has a turn
    linger: float = 0.2  # seconds the last answers may take to leave when an export closes
    retry: float = 0.05  # seconds until a path where nobody answers is tried again, doubled each time
    retry_most: float = 1.0  # seconds, at most; what starts a process again takes as long


class ActorsLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Actors that a peer exports to others of its swarm."""

    max_name: int = 64  # characters
    max_reason: int = 200  # characters of what people are told; an exception's first line
    longest_ask_ms: int = 86_400_000  # a day
    pending: int = 1024  # requests that wait for their actors, of all peers
    watchers: int = 1024  # of all peers
    share: int = 8  # times what is free, that one peer may hold: 8/9 when it is alone, as in a mailbox
    tell_timeout: float = 30.0  # seconds until a tell that an actor has not begun to handle is given up here
    watch_interval: float = 10.0  # seconds between two looks whether a watched actor's peer is there
    watch_expiry: float = 35.0  # seconds until who says nothing watches no more: three looks
    respond: float = 20.0  # seconds for a response to be delivered


class SupervisionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How hard a supervisor tries. What a configuration may change in [supervision]."""

    max_restarts: int = 5  # failures within ``within``; the next one escalates. OTP's default is 1 in 5 s, made for single servers
    within: float = 30.0  # seconds; a crash loop ends within this, a peer that fails once a minute lives on
    backoff: float = 0.1  # seconds before the first restart, doubled with each further one
    stop_timeout: float = 5.0  # seconds a child may take to stop before its supervisor goes on without it
    farewell: float = (
        0.5  # seconds for a farewell to the ring before a peer moves; it takes a turn of an actor
    )


class ConfigLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration file may hold."""

    max_file: int = 1 * MIB  # bytes; a swarm of a thousand groups is a tenth of this
    max_name: int = 48  # characters of a swarm's or group's name: folders and peers are named after it
    max_workers: int = 256  # processes on one machine; a guess
    max_seed: int = 2**63 - 1  # what TOML can hold
    max_syntax_errors: int = 20  # then the file is not TOML at all


class ScriptLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``cicada peer`` and its runtime language. Seconds where nothing else is said."""

    port: int = 49610  # 0xC1CA, that of the original Cicada
    max_file: int = 1 * MIB  # bytes of a script; a thousand lines are a twentieth of this
    max_count: int = 1_000_000  # of RECV; a guess: a script is not a load test
    max_wait: float = 31_536_000.0  # a year; whoever means more means for ever, which is -1
    timeout: float = 10.0  # of SEND, BCAST and LOOKUP, and of joining; the original waited as long for a join
    mapping_attempts: int = 1000  # at most; the pauses between them grow to hours
    join_attempt: float = 1.0  # for one of several addresses, then the next is tried; doubled each round
    join_pause: float = 0.25  # before all of them are tried again; a peer starts in less than a second
    grace: float = 5.0  # beyond the time-out that a receipt was given; the peer has ended then
    linger: float = 0.3  # after a script, before its peer leaves, so that acks it owes and messages it relays are out; a guess
    leave: float = 5.0  # for the farewell and the end
    unread: int = 1024  # messages that the prompt has shown and RECV has not counted; older ones go
    unawaited: int = 1024  # peers that came and ended no WAIT yet; a script has fewer of these
    shown: int = 4096  # characters of one message on a terminal; --json shows all
    own_peers: int = 5  # of the swarm that `cicada shell` starts for itself


class BusLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The stream of events."""

    queue: int = (
        10_000  # events waiting for the proxy or a subscriber; about a second of 1,000 busy peers, 2 MB
    )
    subscribe_timeout: float = 1.0  # for a first subscription to arrive at a new publisher; measured 0.01
    batch: int = 256  # events one subscriber takes before others on its loop have a turn
    rest: float = (
        0.02  # seconds between two times that a subscriber wakes up; each costs it as much as 20 events
    )
    stop_timeout: float = 2.0  # the proxy ends within this many seconds of being told to
    recording_flush_bytes: int = 64 * KIB  # a recording is written in pieces of this size
    recording_flush: float = 0.5  # or this often (seconds), so that a follower sees what happened
    recording_max: int = 512 * MIB  # bytes of one recording; an hour of a churning swarm of 1,000
    max_event: int = 1 * MIB  # bytes of one event, either encoding
    gather: float = 0.1  # seconds that traffic waits at most to leave together: alone an event costs 80 µs, among others 15
    handshake: float = 5.0  # seconds a remote watcher has to prove its key; it takes three messages
    gathered: int = 256  # events that leave at once, whenever that is
    together: int = (
        64  # of one kind that leave in one message: queues count messages, so a queue has that many more
    )
    told: float = 1.0  # seconds between two SequencesTold of a source, while somebody subscribes
    silence: float = (
        3.5  # seconds without a word from which a follower calls its connection lost; three of those
    )
    max_snapshot: int = 64 * MIB  # bytes; 1,000 peers with all their tables have 6 MB
    max_request: int = 4 * KIB  # bytes of a request for a snapshot; it is one short name
    snapshots: int = 64  # requests that wait for a snapshot; the next are refused
    snapshot_gap: float = 0.2  # seconds between two snapshots: whoever asks meanwhile shares the next
    snapshot_wait: float = 3.0  # seconds a follower waits for one before it asks again
    part_wait: float = 0.8  # seconds a worker has for its part; then what it said last is told
    hear: float = 0.5  # of these for the asker's subscription to reach it; measured 0.005
    heal_pause: float = 0.25  # seconds between two snapshots of one follower that keeps losing events
    hops_told: int = (
        100  # hops a process tells a second; each costs it 20 µs, so a fifth of a percent of a core
    )
    counted: float = (
        2.0  # seconds between two TrafficCounted, and two PeerMeasured, of a peer; they cost it 100 µs
    )
    ended_peers: int = 1024  # of one source whose end is kept for snapshots, the latest


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The log files of a run."""

    queue: int = (
        8192  # records of one worker that wait for its writer; a second of 1,000 peers forming a ring, 2 MB
    )
    batch: int = 256  # records written before the writer lets others have the interpreter, some 5 ms
    flush: float = 0.2  # seconds between two looks at the queue; a follower sees a record this late
    file: int = 256 * KIB  # bytes of one file, then the next begins; a thousand records
    files: int = 4  # of one peer, the oldest is given up; 1,000 peers keep at most 1 GiB
    text: int = 400  # characters of one record's text; a guess, and they are lines
    trace: int = 12  # calls of a failure's trace that are kept, the innermost
    close: float = 2.0  # seconds the writer may take for what is left at the end; a full queue takes 0.2


class LoadLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator."""

    default_rate: float = 200.0  # operations a second over the swarm; a tenth of what two cores carry
    default_duration: float = 10.0  # seconds, when neither duration nor count is given
    default_users: int = 10  # of a closed load
    longest: float = 80_000.0  # seconds; a question to the launcher may wait for a day
    max_timeout: float = 3_600.0  # seconds, of one operation; the histograms end there
    max_messages: int = 10_000_000  # of one run: accounting keeps half a byte for each in every worker
    least_payload: int = 52  # bytes: which message it is, and a hash of itself
    max_users: int = 10_000  # of a closed load; each has one operation in flight
    pause: float = (
        0.1  # seconds that a user of a closed load waits at least after a failure; people take longer
    )
    closed_rate: float = 20_000.0  # most operations a second of a closed load; ten times what two cores carry
    max_rate: float = 1e9  # operations a second, and the largest weight of one; nobody offers as many
    max_stages: int = 100
    max_skew: float = 10.0  # of zipf; from 4 on nearly all goes to one peer
    late: float = 0.1  # seconds behind its intended time from which a start counts as late
    late_share: float = 0.01  # of all starts; above it the generator itself was the bottleneck
    busy: float = 0.95  # share of all cores in use from which they are said to be the bottleneck
    lag: float = 0.1  # seconds a generator's loop may stand still; as ``late``
    in_flight: int = 65_536  # operations of one generator; the next is dropped. A peer lets no more in
    burst: int = 256  # operations a late generator may begin before others get a turn on the loop; 5 ms
    tick: float = 0.05  # seconds a generator sleeps at most; it measures the lag of its loop by it
    interval: float = 1.0  # seconds between two looks at all accounts
    membership: float = 0.25  # seconds between two looks at who is in the ring
    unsure: float = (
        5.0  # seconds around a change of the ring in which nobody can say who owns a place; it heals in 2-4
    )
    lead: float = 0.1  # seconds until the first start, so that every worker has heard of it
    cycle: int = (
        1009  # operations after which their kinds repeat; a prime, so that users do not always do the same
    )
    side_bytes: int = 256 * 1024 * 1024  # of a worker's account, for broadcasts and lookups
    pairs: int = 1_000_000  # of peers whose order of messages one worker follows; 100 MB
    histogram_max: int = 3_600_000_000  # microseconds; an hour. Longer ones count as this long
    histogram_digits: int = 3  # significant ones, as everybody's HDR histograms have
    trace: float = (
        2.5  # seconds until a receipt says what became of all copies; DELIVERY.trace_seconds and a turn
    )
    reasons: int = 32  # different reasons of failure that are counted apart; receipts know a dozen
    reason_bytes: int = 120  # of each that are kept; they are one line


class ReportLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Reports of runs."""

    together: float = 1.0  # seconds between two peers that end, or start, up to which they are one mark
    rows: int = 5000  # of each kind of mark in a summary; ten minutes with one fault a second have 600
    named: int = 5  # peers of a mark that are named
    reasons: int = 64  # different failures that are told apart, the most frequent ones
    text: int = 160  # characters of any text that others chose
    drawn_loads: int = 8  # loads of a run that are drawn, the last ones; a picture has some 200 KB
    screen_rows: int = 12  # failures and faults that one screen shows
    page_rows: int = 200  # rows of one table of the page
    labelled: int = 12  # marks in a picture that have a line down to the curves; more stay in their band


class LauncherLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Worker processes and the swarm as a whole. Seconds where nothing else is said."""

    worker_ready: float = 20.0  # from the fork to an answering worker; measured 0.05-0.5
    start_peers: float = 30.0  # binding 1,000 ports takes 0.2
    join: float = 10.0  # one peer's join before it is tried again through another member
    join_attempts: int = 3
    report_grace: float = 5.0  # a worker's answer may be this much later than the peers it waits for
    views: float = 10.0  # snapshots of all peers of a worker; a worker that is busy joining answers late
    snapshot: float = 5.0  # of one peer; below ``views``
    poll_min: float = 0.1  # between two comparisons with the truth while the ring is not proven
    poll_share: float = 0.1  # of one core at most goes into comparing
    poll_calm: float = 5.0  # between two comparisons while it is proven
    stop_peers: float = 5.0  # a graceful leave
    shutdown: float = 3.0  # a worker's end after it was asked, then SIGKILL
    kill_wait: float = 5.0  # for the operating system to reap a killed process
    lookup: float = 5.0
    load_grace: float = 5.0  # after the last receipt should have settled
    load_poll: float = 0.25
    broadcast_poll: float = 0.02
    detach: float = 30.0  # until a detached launcher's control plane answers
    port_problems: int = 10  # ports in use that are named one by one
    commands: int = 64  # carried out at the same time; the next is refused
    subscription: float = 0.5  # a worker waits this long at its start for the recorder of its events
    subscription_poll: float = 0.002
    freeze_quiet: float = (
        1.0  # a worker may finish answering this long before it is stopped; most answers take 0.01
    )
    frozen_look: float = (
        0.5  # whoever waits for a worker's answer looks this often whether it was stopped meanwhile
    )
    freeze_poll: float = 0.001  # between two looks whether every thread of it has stopped
    rolling_share: float = (
        0.1  # of the peers named restart at once; ten waves, each below what a list of 16 bears
    )
    metrics: float = 2.0  # between two looks for the metrics endpoint; scrapers come every 15 or so
    metrics_client: float = (
        5.0  # a scraper that is silent for so long is cut off: they are served one at a time
    )
    worst_peers: int = 5  # named in a status: a handful is read, and the log has them all
    last_words: float = 0.05  # between a worker's last reply and its end, so that reply and events leave it
    proven: float = (
        600.0  # seconds for the first proof of a ring with a timeline: ten times what 1,000 peers need here
    )
    recorded: float = 2.0  # seconds for which a load's answer waits for its end to be recorded: four flushes of the recording


class FootprintLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a swarm takes of a machine, as `cicada up --dry-run` expects it, and what `cicada doctor` calls little. Bytes are of
    PSS: shared pages divided among those that share them."""

    launcher_bytes: int = 68 * MIB  # launcher, fork server and resource tracker; measured 66 with 2 workers
    worker_bytes: int = 20 * MIB  # without its peers; measured 20 (23 with 10 peers)
    peer_bytes: int = 300 * KIB  # measured 302 KiB eleven minutes after the start, less before
    launcher_processes: int = 3  # launcher, fork server and resource tracker
    launcher_descriptors: int = 52  # without its workers; measured 61 with 2
    descriptors_of_worker: int = 5  # that the launcher holds; measured, rounded up
    recorded_bytes: int = 512 * MIB  # of one run's events at most: BusLimits.recording_max
    memory_share: float = 0.7  # of the memory that is free; above it a load may make the system swap
    peers_per_core: int = 500  # 1,000 peers on two cores prove their ring within a minute
    peers_per_worker: int = 200  # room for fewer is little: most configurations ask for as many
    disk_bytes: int = 64 * MIB  # less than this is no room for a run of a few minutes
    resolution: float = 0.001  # seconds of the clock; latencies are reported to a tenth of a millisecond
    oldest_clock: float = 1_767_225_600.0  # 2026-01-01: a wall clock before this was never set


class CliLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long the command line waits, in seconds. Ctrl-C ends every wait."""

    read: float = 30.0  # status, peers: the launcher's own wait for its workers and some
    change: float = 300.0  # restarting 1,000 peers one wave after another
    rolling: float = (
        3600.0  # a rolling restart of 1,000 peers: ten waves and their proofs, with room to spare
    )
    grace: float = 30.0  # beyond the time that the swarm itself was given
    proven: float = 60.0  # default of status --timeout
    down: float = 30.0  # from asking for the end to the end of the launcher
    poll: float = 0.1  # between two looks at a swarm that is waited for
    longest: float = 3_153_600_000.0  # a time that is typed: a hundred years; far beyond it clocks overflow
    follow: float = 0.2  # between two looks at log files that are followed
    settle: float = 0.5  # a record of several followed logs is shown this late, so that all are in order
    progress: float = 0.25  # between two looks at a load that runs; people read no faster
    ending: float = (
        3.0  # a launcher that has closed its control socket may take this long to be gone; measured 0.1
    )
    completions: int = 200  # offered by Tab at once; a shell asks before it lists so many
    watch: float = 1.0  # default of status --interval
    watch_fastest: float = 0.25  # people read no faster, and every look costs the swarm something
    watch_groups: int = 12  # shown on one screen, the worst first; the rest is counted
    watch_workers: int = 3  # likewise
    progress_lines: float = 5.0  # between two lines about it where a line cannot be written over
    dial_back: float = 30.0  # seconds for a port to be mapped and dialled; UPnP alone may take 15
    hold_look: float = 1.0  # between two looks whether the actor that holds a mapping lives
    demo_wait: float = 30.0  # the demo's ring of 20; it takes 1-2
    demo_peers: int = 20
    demo_first_port: int = 23100  # the first of 20 free ports in a row is used; all below the ephemeral ports
    demo_last_port: int = 32700
    demo_messages: int = 200
    demo_rate: float = 200.0  # messages a second


class HarnessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What swarms in tests of applications keep to."""

    proof: float = 30.0  # seconds until a ring is proven; 64 peers on a busy machine take 2.4
    end: float = 5.0  # seconds that a killed peer may take to be gone, and blocking calls beyond the timeouts within them
    look: float = 0.02  # seconds between two looks at a ring that is not proven yet
    first_port: int = 20_000  # above what services use, and below what systems give to outgoing connections:
    last_port: int = 31_999  # 12,000 ports, of which a seed chooses
    port_tries: int = 32  # ports that others may have before a seed finds none
    virtual_timeout: float = (
        3_600.0  # virtual seconds after which a program that still runs counts as hanging
    )
    virtual_end: float = 60.0  # virtual seconds that peers may take to end


WIRE: Final = WireLimits()
RING_TIMINGS: Final = RingTimings()
RING: Final = RingLimits()
LINK: Final = LinkLimits()
ENDPOINT: Final = EndpointLimits()
FAULT: Final = FaultLimits()
TRIAL: Final = TrialLimits()
DELIVERY: Final = DeliveryLimits()
TRANSFER: Final = TransferLimits()
REQUEST: Final = RequestLimits()
BROADCAST: Final = DELIVERY.broadcast
SERVICE: Final = ServiceLimits()
CHANNEL: Final = ChannelLimits()
LODGING: Final = LodgingLimits()
KEYS: Final = KeyLimits()
NAMES: Final = NameLimits()
NAT: Final = NatLimits()
ACTOR: Final = ActorLimits()
REMOTE: Final = RemoteLimits()
ACTORS: Final = ActorsLimits()
SUPERVISION: Final = SupervisionLimits()
CONFIG: Final = ConfigLimits()
SCRIPT: Final = ScriptLimits()
BUS: Final = BusLimits()
LOG: Final = LogLimits()
LOAD: Final = LoadLimits()
REPORT: Final = ReportLimits()
LAUNCHER: Final = LauncherLimits()
FOOTPRINT: Final = FootprintLimits()
CLI: Final = CliLimits()
HARNESS: Final = HarnessLimits()
