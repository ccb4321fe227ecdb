"""The protections behind docs/threat-model.md, each with the lines that make it and the tests that miss it.

To take one out, `old` is replaced by `new` in `file`, where it stands exactly once. Rows are those of the threat model.
"""

from typing import NamedTuple


class Unit(NamedTuple):
    """A program of tests/unit, and which of its cases (all if empty)."""
    area: str
    cases: str = ""


class Kernel(NamedTuple):
    """Cases of tests/firewall."""
    cases: str


class Namespaces(NamedTuple):
    """A topic of tests/netns, and the words that choose its tests."""
    topic: str
    words: str = ""


class Protection(NamedTuple):
    row: str
    what: str
    file: str
    old: str
    new: str
    test: object


DECIDER = "server/gatekeeper/decide/decider.cpp"
RECORD = "server/gatekeeper/record/"
REQUESTS = "server/gatekeeper/grants/grant_requests.cpp"
FIREWALL = "server/firewall/firewall.cpp"
RULES = "server/firewall/table/guard_rules.cpp"
CALLS = "server/privsep/system_calls.cpp"
KEPT = "server/firewall/kept_grants.cpp"
FLOWS = "server/firewall/table/udp_flows.cpp"

PROTECTIONS = [
    Protection("1", "ports are shuffled by the key", "common/protocol/codebook.cpp",
               "take(i, i + words.uniform(places - i));", "static_cast<void>(places), take(i, i);",
               Unit("protocol")),
    Protection("1", "each message has a nonce", "client/message/make_message.cpp",
               "fill_random(request.nonce);", "", Unit("client")),
    Protection("2", "a tag that is in the record is refused", DECIDER,
               "if (record_.holds(tag, time)) return Reason::replayed;", "", Unit("gatekeeper")),
    Protection("2", "what is older than the floor is refused", DECIDER,
               "return time <= floor ? std::optional(Reason::replayed) : std::nullopt;",
               "static_cast<void>(floor);\n    return std::nullopt;", Unit("gatekeeper")),
    Protection("2", "a message is recorded before anything is opened", RECORD + "record.cpp",
               ": journal_.append(turn_));", ": true);", Namespaces("restarts", "killed")),
    Protection("2", "a turn that could not be written opens nothing", DECIDER,
               "if (decision.verified && !decision.refused) decision.refused = Reason::record_failed;",
               "static_cast<void>(decision);",
               Unit("gatekeeper", "what could not be written*")),
    Protection("2", "a record that ends too early counts as lost", RECORD + "journal.cpp",
               "if (content.entries.size() < wanted)", "if (content.entries.size() > wanted + 1'000'000)",
               Unit("gatekeeper")),
    Protection("2", "a wrong bit in an entry is found out", RECORD + "block.hpp",
               "if (!block || load_u64be(block->bytes_.data() + content) != block->sum(key, place)) return std::nullopt;",
               "static_cast<void>(key);\n        static_cast<void>(place);\n        if (!block) return std::nullopt;",
               Unit("gatekeeper")),
    Protection("2", "an older copy of the record counts as lost", RECORD + "journal.cpp",
               "if (header->header.serial < mark->serial ||", "if (", Unit("gatekeeper")),
    Protection("2", "a record that was lost closes the door", RECORD + "opening.cpp",
               "        record.begin_closed(now, tolerance);\n", "", Namespaces("restarts", "lost deleted damaged")),
    Protection("2, 12", "the window behind a loss is one of the steady clock", DECIDER,
               "if (record_.is_closed(now)) return Reason::record_lost;", "static_cast<void>(now);",
               Namespaces("clocks", "lost")),
    Protection("3", "a message opens for the address that it names", DECIDER,
               "    if (!address) return Reason::address_mismatch;\n", "", Unit("gatekeeper")),
    Protection("2", "a record that was put aside is not its successor", RECORD + "opening.cpp",
               "record.serial_ = any_serial();", "record.serial_ = 0 * any_serial();", Unit("gatekeeper", "a record that was put*")),
    Protection("3", "a copy from elsewhere does not use up the knock", DECIDER,
               "if (address && decision.refused", "if (decision.refused", Unit("gatekeeper")),
    Protection("7", "decodings are limited", "server/listener/assembler.cpp",
               "if (source.decodes.tokens() < 1 + reserve * decodes_per_source.burst ||",
               "if (false &&", Unit("listener")),
    Protection("7", "strangers have no windows", "server/listener/stranger_table.cpp",
               "if (said < most_pairs) {", "if (false) {", Unit("listener")),
    Protection("9", "a client opens no service but its own", DECIDER,
               "if (!is_allowed(*match.client, verifier_.keyring().door, request.service())) return "
               "Reason::service_not_allowed;", "", Unit("gatekeeper")),
    Protection("9", "a client has a share of the record", DECIDER,
               "const bool has_share = record_.tags_of(match.client->name) < Record::most_tags_per_client;",
               "const bool has_share = true;", Unit("gatekeeper")),
    Protection("9", "a client has a share of grants", DECIDER,
               "if (!held.has_room_for(decision.grant(), now)) return Reason::rate_limited;",
               "static_cast<void>(decision);\n    static_cast<void>(now);", Unit("gatekeeper")),
    Protection("9", "a client's rate is limited", DECIDER,
               "const bool calm = rates_[decision.client].try_take(knocks_per_client, now.steady);",
               "const bool calm = true;", Unit("gatekeeper")),
    Protection("9", "nobody closes another's grant", REQUESTS,
               "request.operation = request.duration_ms > 0 || request.flows_ms > 0 ? Operation::open : Operation::close;",
               "request.operation = Operation::close;", Unit("gatekeeper")),
    Protection("9", "the tag is bound to the door", "common/protocol/message.cpp",
               "    crypto_generichash_update(&state, door.bytes.data(), door.bytes.size());\n",
               "    static_cast<void>(door);\n", Unit("protocol")),
    Protection("10", "a revoked client is refused", DECIDER,
               "    if (match.client->revoked) return Reason::key_revoked;\n", "", Unit("gatekeeper")),
    Protection("10", "of two files with one key the stricter counts", DECIDER,
               "if (matches.size() == 1) return matches.front();", "if (!matches.empty()) return matches.front();",
               Unit("gatekeeper", "a key that two files hold*")),
    Protection("10", "a revocation closes what is open", REQUESTS,
               "    close(excess.not_allowed, std::nullopt, now);\n", "",
               Namespaces("refusals", "revoked revoking")),
    Protection("10", "what was revoked while no daemon ran is closed at the start", REQUESTS,
               "    end_in_record(hold_to_keys(now).not_allowed, now);\n", "    static_cast<void>(hold_to_keys(now));\n", Namespaces("restarts", "revoked")),
    Protection("10", "the holder of a grant is recorded with it", RECORD + "record.cpp",
               "            if (entry.end != Instant{}) put_grant(grant_of(entry), entry.end, now);\n", "",
               Namespaces("restarts", "belongs outlive")),
    Protection("9, 13", "an element that the record does not know is not adopted", KEPT,
               "        if (known == recorded.end()) continue;\n        const milliseconds remaining = std::min(in_kernel, "
               "known->second);", "        const milliseconds remaining = in_kernel;\n        static_cast<void>(known);",
               Kernel("what the record does not know*")),
    Protection("12", "a message from the past is refused", DECIDER,
               "    if (now.wall - time > limits_.tolerance) return Reason::stale;\n", "", Unit("gatekeeper")),
    Protection("12", "a message from the future is refused", DECIDER,
               "    if (time - now.wall > limits_.tolerance) return Reason::future;\n", "", Unit("gatekeeper")),
    Protection("12", "the floor follows what is forgotten, not the clock", RECORD + "record.cpp",
               "floor_ = std::max(floor_, oldest->first.first);", "floor_ = std::max(floor_, stale_before);",
               Unit("gatekeeper")),
    Protection("9", "a client has a share of the log's lines", "server/gatekeeper/decide/decision_log.cpp",
               "share.tokens() < kept * lines_of_one_client.burst + 1", "share.tokens() < -1e9",
               Unit("gatekeeper", "no client takes*")),
    Protection("12", "a message of another hour is not recorded", DECIDER,
               " && decision.refused != Reason::wrong_epoch", "", Unit("gatekeeper")),
    Protection("12", "a lost record's floor is not before the audit's end", "server/gatekeeper/start.cpp",
               "std::max(now.wall, audit->latest().value_or(now.wall))", "now.wall", Namespaces("clocks", "stays_behind")),
    Protection("14", "changes by others are noticed", "server/parent/loop.cpp",
               "if (parts_.firewall && parts_.firewall->on_watch_readable()) plan_repair();",
               "if (parts_.firewall) static_cast<void>(parts_.firewall->on_watch_readable());", Namespaces("guard")),
    Protection("14", "a changed rule is put right", FIREWALL,
               " &&\n            same_structure(wanted_image_, image))", ")", Kernel("*")),
    Protection("15", "names have no control characters", "keys/names.cpp",
               "std::ranges::all_of(name, [](char c) { return is_one_of(c, \"._-@\"); });", "true;", Unit("keys")),
    Protection("16", "a key file that others may read is refused", "common/files.cpp",
               "if ((info->st_mode & 077) != 0) {", "if (false) {", Unit("keys")),
    Protection("13, 16", "secrets are locked in memory", "common/secret.cpp",
               "    if (mlock(memory, size) != 0) {", "    if (munlock(memory, size) != 0) {",
               Namespaces("memory", "gatekeeper")),
    Protection("13, 16", "secrets are wiped", "common/secret.cpp",
               "        sodium_memzero(slot, Secret32::size);\n", "", Namespaces("memory", "force")),
    Protection("1", "no port of a span comes more often than another", "common/protocol/codebook.cpp",
               "if (word >= m || word >= (0U - m) % m) return word % m;",
               "return static_cast<std::uint32_t>(std::uint64_t{word % m} * (word % m) / m);",
               Unit("protocol", "from hour to hour*")),
    Protection("4", "resets have a flow label as the kernel's have", RULES,
               "    if (has_any(services, protocol_tcp)) add_label_of_resets(set, label_seed);\n",
               "    static_cast<void>(label_seed);\n", Kernel("no field of its resets*")),
    Protection("4", "frames to others are not answered", RULES,
               'set.rules.push_back(rule("guarded", "meta pkttype != host drop", {to_others_at_link(), verdict(NF_DROP)}));',
               "", Kernel("frames and addresses to which*")),
    Protection("8", "a burst stands out by when its packets came", "server/listener/assembler.cpp",
               "        found = try_all(next, window.densest(tick, 2 * burst_ticks), now);\n"
               "        when = window.densest(tick, burst_ticks);\n", "", Unit("listener", "a burst stands out*")),
    Protection("13", "the listener can make no call but its own", CALLS,
               "Filter filter(SCMP_ACT_KILL_PROCESS);", "Filter filter(SCMP_ACT_ALLOW);", Namespaces("inside", "listener")),
    Protection("13", "the gatekeeper can make no call but its own", CALLS,
               "allow_gatekeeper_calls_only(int control_socket) {\n    Filter filter(SCMP_ACT_ERRNO(EPERM));",
               "allow_gatekeeper_calls_only(int control_socket) {\n    Filter filter(SCMP_ACT_ALLOW);",
               Namespaces("inside", "gatekeeper")),
    Protection("13", "the parent can make no call but its own", CALLS,
               "allow_parent_calls_only() {\n    Filter filter(SCMP_ACT_ERRNO(EPERM));",
               "allow_parent_calls_only() {\n    Filter filter(SCMP_ACT_ALLOW);", Namespaces("inside", "parent")),
    Protection("13", "calls by another convention end a room", CALLS,
               "if (!failed_) note(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));",
               "if (!failed_) note(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW));",
               Namespaces("inside", "32")),
    Protection("13", "the filters of captures are locked", "server/listener/packet_filter.cpp",
               "if (setsockopt(socket, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) == 0) return {};",
               "static_cast<void>(on);\n    static_cast<void>(socket);\n    return {};", Namespaces("inside", "locked")),
    Protection("13", "the parent can change no file", "server/privsep/landlock.cpp",
               "    if (!restrict_self(make_ruleset(attributes))) return tl::unexpected(cannot_confine());\n", "",
               Unit("privsep", "Landlock of every version*")),
    Protection("13", "the gatekeeper sees no file but its own", "server/privsep/sandbox.cpp",
               'if (chroot(".") != 0 || chdir("/") != 0) return tl::unexpected(cannot("enter the state folder with chroot"));',
               "", Namespaces("rooms", "sees")),
    Protection("13", "rooms are not root", "server/privsep/sandbox.cpp",
               'if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return tl::unexpected(cannot("change the user"));',
               "", Namespaces("rooms", "privilege")),
    Protection("13", "rooms can gain no capability", "server/privsep/sandbox.cpp",
               'if (auto emptied = empty_bounding_set(); !emptied) return emptied;\n        if (setgroups', "        if (setgroups",
               Namespaces("rooms", "privilege")),
    Protection("13", "no room outlives the parent", "server/privsep/sandbox.cpp",
               "if (may_kill) capng_update(CAPNG_ADD, held, CAP_KILL);", "static_cast<void>(may_kill);", Namespaces("rooms", "hangs")),
    Protection("17", "what arrives for this host is looked at as well", RULES, "    add_input(set);\n", "",
               Kernel("a service is guarded at every address*,a port that is redirected to a service*")),
    Protection("17", "the loopback interface alone lets nobody in", RULES, "{source_is_local(), accept()}", "{accept()}",
               Kernel("a packet with a stranger's source from a raw socket*")),
    Protection("17", "a packet on the loopback interface has a route if this host sent it", RULES,
               '{interface_is("lo"), has_route(Family::ipv4), verdict(NFT_JUMP, "from_this_host")}',
               '{interface_is("lo"), verdict(NFT_JUMP, "from_this_host")}', Kernel("a packet with a forged source*")),
    Protection("4", "what the kernel does not answer is not answered", RULES, '"tcp option md5sig length 18 drop", '
               "{is_signed(), verdict(NF_DROP)}", '"drop", {protocol_is(0), verdict(NF_DROP)}', Kernel("no TCP option tells*")),
    Protection("17", "no fragment hides its port", RULES, "    add_fragments(set);\n", "", Kernel("a SYN behind extension*")),
    Protection("10", "no grant outlives what is listed", "server/parent/loop.cpp", "milliseconds{time_ms} - late", "milliseconds{time_ms}",
               Namespaces("refusals", "Refusals.test_a_grant_that_comes_late_to_the_kernel_ends_when_it_would_have_ended_anyway")),
    Protection("4", "a flow's resets have one label", RULES, "ipv6_reset(), answer_of",
               "tcp_flags_are(tcp_rst | tcp_ack), answer_of", Kernel("whatever a flow sends*")),
    Protection("4", "a silent port is silent to an ACK", RULES, "    if (has_any(services, protocol_tcp)) add_silence(set, config);\n",
               "    static_cast<void>(add_silence);\n", Kernel("with closed = drop*")),
    Protection("18", "a forged address of this host begins no flow", FLOWS,
               'source_is_local(), verdict(NF_DROP)}', "source_is_local(), accept()}", Kernel("a packet that goes through*")),
    Protection("18", "flows end with whom the daemon admits", FLOWS,
               "{granted(family, admitted_set(family)), accept()}", "{accept()}", Kernel("*live on until a close")),
    Protection("18", "an address has a share of the flows", FLOWS,
               "{too_many_answers(family, pace_set(family), pace_kept, most_begun), accept()}",
               "{too_many_answers(family, pace_set(family), pace_kept, most_begun)}", Kernel("one address cannot fill*")),
    Protection("18", "a client has a share of the flows", RECORD + "held_grants.cpp",
               "i + most_with_flows <= others.size()", "i + most_per_client <= others.size()", Unit("gatekeeper")),
    Protection("18", "an expired client keeps nothing", DECIDER, "!has_expired(*found, now) &&",
               "(true || has_expired(*found, now)) &&", Unit("gatekeeper", "a key that two files hold*")),
    Protection("18", "what other hosts sent opens nothing", FLOWS,
               'goes_through_this_host(), verdict(NFT_GOTO, "passing")', "goes_through_this_host()",
               Kernel("answers to another*")),
    Protection("18", "a client begins flows elsewhere only so often", "server/gatekeeper/decide/decider.cpp",
               "    if (held.would_bring_flows(decision.grant(), now) &&", "    if (false &&", Unit("gatekeeper")),
    Protection("18", "a start forgets what services asked for", FIREWALL,
               "            batch.empty_set(name);", "            static_cast<void>(name);", Kernel("a start forgets*")),
    Protection("18", "whose flows go on is remembered", RECORD + "held_grants.cpp",
               "    const Instant past = end + flows_after(grant.service);", "    const Instant past = end;", Unit("gatekeeper")),
    Protection("19", "words bind the client's half", "keys/enrolment.cpp",
               'digest_of("oneknock/1 enrolment words", sealed.recipient, sealed.box)',
               'digest_of("oneknock/1 enrolment words", {}, sealed.box)', Unit("keys", "words bind*")),
    Protection("19", "words bind the box", "keys/enrolment.cpp",
               'digest_of("oneknock/1 enrolment words", sealed.recipient, sealed.box)',
               'digest_of("oneknock/1 enrolment words", sealed.recipient, {})', Unit("keys", "*byte was changed*")),
    Protection("19", "words that differ import nothing", "client/commands/confirm_sealed.cpp",
               "return !options.words || are_same_words(*options.words, sealed.words) ? Result<void>{} : "
               "are_not_the_words(sealed);", "return {};", Namespaces("enrol", "exchanged")),
    Protection("19", "what a person does not confirm is not imported", "client/commands/confirm_sealed.cpp",
               'if (*answer == "yes" || are_same_words(*answer, sealed.words)) return {};', "return {};", Namespaces("enrol", "both_sides")),
    Protection("19", "a half is used once", "client/commands/import.cpp",
               "return brought.sealed ? forget_enrolment(brought.sealed->enrolment) : Result<void>{};",
               "static_cast<void>(brought);\n    return {};", Namespaces("enrol", "used")),
    Protection("19", "a half that has expired opens nothing", "client/door/enrolments.cpp",
               "    if (key->expires <= now) return has_expired(path, key->expires);\n",
               "    if (false) return has_expired(path, now);\n", Namespaces("enrol", "expired")),
    Protection("locked out", "the old key goes only once the next one was used", "client/commands/rotate.cpp",
               "        if (*used) return {};\n", "        return {};\n", Namespaces("rotate_via", "proves_nothing")),
    Protection("every bit", "a message whose tag is wrong is refused", "common/protocol/message.cpp",
               "if (sodium_memcmp(computed.bytes.data(), claimed.bytes.data(), tag_length) != 0) return std::nullopt;",
               "static_cast<void>(computed);", Unit("protocol")),
]
