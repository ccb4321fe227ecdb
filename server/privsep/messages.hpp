// What the daemon's rooms say to each other: one closed list of fixed-size structs of numbers, one per datagram of a
// SOCK_SEQPACKET pair. Both ends are built together, so the structs travel as they lie in memory. A datagram of an
// odd kind, size or value is a defect or an attack: the receiver stops.
//
//   listener   -> gatekeeper   Candidate, CaptureReport
//   gatekeeper -> listener     DoorSpan, BookSeed, WordVerdict, ReportRequest
//   gatekeeper -> parent       DoorServices, RecordedGrant, Ready, GrantRequest, TrialConfirmed, ReloadRequest,
//   SettleRequest, LifeSign
//   parent     -> gatekeeper   GatekeeperSettings, AdoptedGrant, AdoptionEnd, ForeignElements, DroppedLines,
//   GrantReply, TrialReply, Settled, LifeRequest
// and on a pair of its own, so that no grant waits behind key files:
//   parent     -> gatekeeper   PassedKeyFile (with a descriptor), UnopenedKeyFile, MissingKeyFile, KeyFilesEnd
//   gatekeeper -> parent       KeysAnswer
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/message.hpp"
#include "common/protocol/port_span.hpp"
#include "common/secret.hpp"
#include "keys/names.hpp"

namespace oneknock {

enum class Kind : std::uint32_t {
    candidate = 1,
    capture_report,
    book_seed,
    verdict,
    report_request,
    grant_request,
    grant_reply,
    adopted_grant,
    key_file,
    key_files_end,
    trial_confirmed,
    reload_request,
    ready,
    door_span,
    door_services,
    trial_reply,
    missing_key_file,
    keys_answer,
    gatekeeper_settings,
    recorded_grant,
    adoption_end,
    foreign_elements,
    dropped_lines,
    unopened_key_file,
    settle_request,
    settled,
    life_request,
    life_sign,
};

// Numbers that name things on both sides of a channel.
using RequestId = std::uint64_t;

// What is sent has no bytes that belong to no member: they would carry what lay on the sender's stack before. So
// padding has a name and is zero (datagram_of checks that there is no other), and truth values and services have types
// of their own, of which any byte may be received.
struct Flag {
    std::uint8_t value = 0;  // 0 or 1, else it is not well-formed

    constexpr Flag(bool set = false) : value(set ? 1 : 0) {}
    constexpr operator bool() const { return value != 0; }
};

struct SentService {
    std::uint16_t port = 0;
    std::uint8_t protocol = 0;
    std::uint8_t padding = 0;

    constexpr SentService() = default;
    constexpr SentService(const Service& service) : port(service.port), protocol(service.protocol) {}
    constexpr operator Service() const { return {protocol, port}; }
};

// A decoded word that may be a message: unverified, straight from hostile packets.
struct Candidate {
    static constexpr Kind kind = Kind::candidate;
    Kind head = kind;
    std::uint32_t door_generation = 0;  // of the book it was read with
    std::uint64_t epoch = 0;            // likewise
    RequestId id = 0;
    std::int64_t first_packet_ns = 0;  // CLOCK_MONOTONIC when the first of its packets came, to 16 microseconds
    Address source;
    Message message;
    Bytes<6> padding{};
};

// The gatekeeper's answer, so that the listener can forget the word's packets.
struct WordVerdict {
    static constexpr Kind kind = Kind::verdict;
    Kind head = kind;
    Flag verified;  // a key was found, whatever became of the request
    Bytes<3> padding{};
    RequestId id = 0;
};

// The ports of the door, as ascending ranges; before the first BookSeed. No reload changes them.
struct DoorSpan {
    static constexpr Kind kind = Kind::door_span;
    Kind head = kind;
    std::uint32_t count = 0;
    PortSpan::Range ranges[PortSpan::most_ranges] = {};
};

// One hour's codebook for the listener; the door secret itself stays with the gatekeeper. Never queued: a queue is
// memory that is not locked.
struct BookSeed {
    static constexpr Kind kind = Kind::book_seed;
    Kind head = kind;
    std::uint32_t door_generation = 0;
    std::uint64_t epoch = 0;
    std::int64_t live_from = 0;   // unix seconds: packets are looked up in this book from here
    std::int64_t live_until = 0;  // to here, inclusive
    Bytes<Secret32::size> seed{};
};

struct ReportRequest {
    static constexpr Kind kind = Kind::report_request;
    Kind head = kind;
    Bytes<4> padding{};
    RequestId id = 0;
};

struct CaptureReport {
    static constexpr Kind kind = Kind::capture_report;
    Kind head = kind;
    Bytes<4> padding{};
    RequestId id = 0;
    std::uint64_t packets = 0;  // that passed the kernel's filter
    std::uint64_t symbols = 0;  // of these, on a port of a live book
    std::uint64_t dropped = 0;  // by the kernel, for lack of room
    std::uint64_t decodes = 0;
    std::uint64_t candidates = 0;
    std::uint64_t dropped_lines = 0;  // of the listener's log
};

struct GrantRequest {
    static constexpr Kind kind = Kind::grant_request;
    Kind head = kind;
    std::uint32_t duration_ms = 0;  // for open: up to the configuration's maximum; 0: the grant ends, its flows go on
    RequestId id = 0;
    SentService service;
    Operation operation = Operation::open;
    Address address;
    Bytes<2> padding{};
    std::uint32_t flows_ms = 0;  // for open: how long UDP flows that were begun under the grant may go on
    Bytes<4> more_padding{};
    std::int64_t asked_ns = 0;  // CLOCK_MONOTONIC from which both last
};

struct GrantReply {
    static constexpr Kind kind = Kind::grant_reply;
    Kind head = kind;
    std::int32_t error = 0;  // errno of the kernel's refusal, 0 for done
    RequestId id = 0;
    std::int64_t done_ns = 0;  // CLOCK_MONOTONIC when the kernel had answered
};

// A grant of an earlier run as the record has it: an element that is none of these is none of ours. Before Ready.
struct RecordedGrant {
    static constexpr Kind kind = Kind::recorded_grant;
    Kind head = kind;
    std::uint32_t remaining_ms = 0;  // 0: it has ended, and UDP flows that were begun under it go on
    std::uint32_t flows_ms = 0;
    SentService service;
    Address address;
    Bytes<3> padding{};
};

// One of these that the kernel's set has, with the time that is left of it by both.
struct AdoptedGrant {
    static constexpr Kind kind = Kind::adopted_grant;
    Kind head = kind;
    std::uint32_t remaining_ms = 0;
    SentService service;
    Address address;
    Bytes<3> padding{};
};

// There are no more of them.
struct AdoptionEnd {
    static constexpr Kind kind = Kind::adoption_end;
    Kind head = kind;
};

// How many lines of the parent's log nobody read in time; whenever that has changed.
struct DroppedLines {
    static constexpr Kind kind = Kind::dropped_lines;
    Kind head = kind;
    Bytes<4> padding{};
    std::uint64_t count = 0;
};

// An element of the administrator's sets that is not ours.
struct SentForeignElement {
    std::uint32_t remaining_s = 0;  // 0: it never ends
    SentService service;
    Address address;
    Bytes<3> padding{};
};

// Mode set: how many there are, and some of them. Whenever the sets were read.
struct ForeignElements {
    static constexpr Kind kind = Kind::foreign_elements;
    static constexpr std::size_t most_told = 16;
    Kind head = kind;
    std::uint32_t count = 0;
    std::uint32_t told = 0;
    SentForeignElement elements[most_told] = {};
};

// A file of keys: the end of its path, for messages only and never opened.
inline constexpr std::size_t longest_file_name = 127;
using FileName = char[longest_file_name + 1];

// Announces a file of keys; its descriptor travels with the same datagram.
struct PassedKeyFile {
    static constexpr Kind kind = Kind::key_file;
    Kind head = kind;
    Flag is_door;
    FileName name = {};
    Bytes<3> padding{};
};

// One that is there by its name, but cannot be opened; or the clients' folder itself.
struct UnopenedKeyFile {
    static constexpr Kind kind = Kind::unopened_key_file;
    enum class Place : std::uint8_t { client, door, folder };
    Kind head = kind;
    std::int32_t error = 0;  // errno; 0: it is no regular file
    Place place = Place::client;
    FileName name = {};
    Bytes<3> padding{};
};

// A client's file that was told of in an earlier load is not there any more.
struct MissingKeyFile {
    static constexpr Kind kind = Kind::missing_key_file;
    Kind head = kind;
    FileName name = {};
};

// Everything that has changed since the last load has been told; the gatekeeper takes what it can of it, and answers.
struct KeyFilesEnd {
    static constexpr Kind kind = Kind::key_files_end;
    Kind head = kind;
    std::uint32_t count = 0;     // of the datagrams before it
    RequestId last_request = 0;  // the last ReloadRequest that came before this load began; 0: none yet
    Flag asked;                  // else the parent looks for itself, and the log need not say that nothing was found
    Bytes<7> padding{};
};

struct KeysAnswer {
    static constexpr Kind kind = Kind::keys_answer;
    Kind head = kind;
    Flag taken;  // else it is all to be told again with the next load
    Bytes<3> padding{};
};

// `oneknockctl confirm`: the guard of --try stays.
struct TrialConfirmed {
    static constexpr Kind kind = Kind::trial_confirmed;
    Kind head = kind;
    Bytes<4> padding{};
    RequestId id = 0;
};

struct TrialReply {
    static constexpr Kind kind = Kind::trial_reply;
    Kind head = kind;
    Flag was_on_trial;  // else there was nothing to confirm
    Bytes<3> padding{};
    RequestId id = 0;
};

struct ReloadRequest {
    static constexpr Kind kind = Kind::reload_request;
    Kind head = kind;
    Bytes<4> padding{};
    RequestId id = 0;  // 1, 2, ...
};

// Answered once the firewall has acted on everything that was sent before: what a reload changed is in force then.
struct SettleRequest {
    static constexpr Kind kind = Kind::settle_request;
    Kind head = kind;
    Bytes<4> padding{};
    RequestId id = 0;  // the last ReloadRequest that the reload answers
};

struct Settled {
    static constexpr Kind kind = Kind::settled;
    Kind head = kind;
    Flag lacks_services;  // the kernel has not taken the door's services; it is tried again
    Bytes<3> padding{};
    RequestId id = 0;
};

// Under a service manager's watchdog: answered by a gatekeeper that gets an answer from the listener.
struct LifeRequest {
    static constexpr Kind kind = Kind::life_request;
    Kind head = kind;
};

struct LifeSign {
    static constexpr Kind kind = Kind::life_sign;
    Kind head = kind;
};

// What the gatekeeper needs of the configuration; the first datagram that it gets.
struct GatekeeperSettings {
    static constexpr Kind kind = Kind::gatekeeper_settings;
    Kind head = kind;
    std::uint32_t tolerance_s = 0;
    std::uint32_t grant_default_s = 0;
    std::uint32_t grant_maximum_s = 0;
    std::int64_t rotation_grace_s = -1;  // -1: none
    std::uint32_t flows_after_s = 0;     // how long UDP flows may outlive their grant; 0: no firewall of ours keeps any
    Flag rests;                          // between slices of long work, as the daemon goes before other programs
    Bytes<3> padding{};
};

// What the door opens at all: the firewall refuses requests for anything else. Before Ready.
struct DoorServices {
    static constexpr Kind kind = Kind::door_services;
    Kind head = kind;
    std::uint32_t count = 0;
    SentService services[most_services];
};

// The gatekeeper has loaded its keys and knows its clients.
struct Ready {
    static constexpr Kind kind = Kind::ready;
    Kind head = kind;
};

// What is left until then, of at most the longest grant; 1 at least.
[[nodiscard]] constexpr std::uint32_t milliseconds_until(Instant end, Instant now) {
    return static_cast<std::uint32_t>(
        std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(end - now).count()));
}

// The values that the kinds and sizes of datagrams leave open. Of each struct, so that none is forgotten;
// Datagram::as() asks.
[[nodiscard]] constexpr bool is_well_formed(const Flag& flag) { return flag.value <= 1; }
template <std::size_t size>
[[nodiscard]] constexpr bool is_well_formed(const char (&text)[size]) {  // its end is in it
    return text[size - 1] == '\0';
}
// No family that is none, no families that differ, no address with something in the bytes that do not count.
[[nodiscard]] inline bool is_well_formed(const Candidate& candidate) {
    return candidate.source.is_canonical() && candidate.message.family == candidate.source.family &&
           candidate.first_packet_ns >= 0;
}
[[nodiscard]] inline bool is_well_formed(const GrantRequest& request) {
    return request.address.is_canonical() &&
           (request.operation == Operation::open || request.operation == Operation::close);
}
[[nodiscard]] inline bool is_well_formed(const RecordedGrant& grant) { return grant.address.is_canonical(); }
[[nodiscard]] inline bool is_well_formed(const ForeignElements& foreign) {
    return foreign.told <= std::min<std::size_t>(foreign.count, ForeignElements::most_told) &&
           std::ranges::all_of(foreign.elements, [](const auto& element) { return element.address.is_canonical(); });
}
[[nodiscard]] inline bool is_well_formed(const AdoptedGrant& grant) { return grant.address.is_canonical(); }
[[nodiscard]] constexpr bool is_well_formed(const GrantReply& reply) { return reply.error >= 0 && reply.done_ns >= 0; }
[[nodiscard]] constexpr bool is_well_formed(const WordVerdict& verdict) { return is_well_formed(verdict.verified); }
[[nodiscard]] constexpr bool is_well_formed(const DoorSpan& span) { return span.count <= PortSpan::most_ranges; }
[[nodiscard]] constexpr bool is_well_formed(const DoorServices& door) { return door.count <= most_services; }
[[nodiscard]] constexpr bool is_well_formed(const PassedKeyFile& file) {
    return is_well_formed(file.is_door) && is_well_formed(file.name);
}
[[nodiscard]] constexpr bool is_well_formed(const UnopenedKeyFile& file) {
    return file.error >= 0 && file.place <= UnopenedKeyFile::Place::folder && is_well_formed(file.name);
}
[[nodiscard]] constexpr bool is_well_formed(const MissingKeyFile& file) { return is_well_formed(file.name); }
[[nodiscard]] constexpr bool is_well_formed(const KeyFilesEnd& end) { return is_well_formed(end.asked); }
[[nodiscard]] constexpr bool is_well_formed(const KeysAnswer& answer) { return is_well_formed(answer.taken); }
[[nodiscard]] constexpr bool is_well_formed(const TrialReply& reply) { return is_well_formed(reply.was_on_trial); }
[[nodiscard]] constexpr bool is_well_formed(const Settled& settled) { return is_well_formed(settled.lacks_services); }
[[nodiscard]] constexpr bool is_well_formed(const GatekeeperSettings& settings) {
    return settings.tolerance_s > 0 && settings.grant_default_s > 0 && settings.grant_maximum_s > 0 &&
           is_well_formed(settings.rests);
}
// Numbers, any of which may be.
[[nodiscard]] constexpr bool is_well_formed(const BookSeed&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const CaptureReport&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const ReportRequest&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const ReloadRequest&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const SettleRequest&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const TrialConfirmed&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const AdoptionEnd&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const DroppedLines&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const Ready&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const LifeRequest&) { return true; }
[[nodiscard]] constexpr bool is_well_formed(const LifeSign&) { return true; }

inline constexpr std::size_t largest_datagram = 512;

template <class T>
[[nodiscard]] ByteSpan datagram_of(const T& message) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= largest_datagram);
    static_assert(std::has_unique_object_representations_v<T>, "name the padding");
    return {reinterpret_cast<const std::uint8_t*>(&message), sizeof message};
}

}  // namespace oneknock
