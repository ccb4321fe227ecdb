// What is asked of the firewall, and what it answers: the grants of accepted knocks, and the closing of grants. Who
// holds which grant is in the record; the firewall knows addresses and services alone, so what it is asked for is the
// latest end of all who hold the same.
//
// A grant is in the record before it is asked for, and in the kernel before the reply is here. The channel keeps the
// order, so a grant that is on its way is closed by a request behind its own.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/decide/knock_latency.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

class GrantRequests {
public:
    // For how long the keys in force let a client of this name have the service; 0: not at all.
    using Allowed = std::function<Seconds(const std::string& client, const Service& service)>;

    // `parent` and `record` must live as long.
    GrantRequests(Channel& parent, Record& record, Allowed allowed)
        : parent_(parent), record_(record), allowed_(std::move(allowed)) {}

    // At the start: ends what the keys in force do not allow any more, shortens what is longer than a grant may be by
    // now, and tells the firewall what is left of earlier runs. It answers with what it has found of that, each by
    // adopt(), then end_adoption(): the rest has ended.
    void begin_adoption(Instant now);
    void adopt(const AdoptedGrant& adopted, Instant now);
    void end_adoption(Instant now);

    struct Knock {
        Decision decision;
        KnockMoments moments;  // up to the request
        int error = 0;         // of the answer: errno; ETIME: it came when the grant's time was over
    };
    // Asks for what an accepted knock wants. False: too much is asked of the firewall already; what the record says of
    // the grant is taken back.
    [[nodiscard]] bool request(const Decision& decision, const KnockMoments& moments, Instant now);
    // Behind that: ends what the client has to give up for a new grant of a UDP service (HeldGrants).
    std::vector<ClientGrant> end_displaced(const ClientGrant& grant, Instant now);
    // The knock this is the answer to, if it is to one. What the firewall refused is taken back, unless a later request
    // makes it good; after ETIMEDOUT a grant may be open, and stays listed.
    [[nodiscard]] std::optional<Knock> answer_to_knock(const GrantReply& reply, Instant now);
    [[nodiscard]] bool awaits_answers() const { return !requests_.empty(); }  // to knocks

    // Ends the grants of one client, or of all if it is empty, also those on their way, to be opened or to be closed;
    // how many. Where there are any, answer_to_close() says when they are closed.
    std::size_t revoke(const std::string& client, RequestId waiter, Instant now);
    struct Revocation {
        RequestId waiter = 0;
        std::size_t awaited = 0;  // replies of the firewall
        std::size_t closed = 0;   // grants
        bool failed = false;      // not all could be closed
        bool recorded = true;     // else they could be back after a crash
    };
    // The revocation that is complete with this answer. A grant that could not be closed is listed again.
    [[nodiscard]] std::optional<Revocation> answer_to_close(const GrantReply& reply, Instant now);

    // Whoever was revoked or taken out, or may no longer open a service, loses what it opened; how many grants. What is
    // longer than a grant may be by now becomes shorter.
    std::size_t close_what_is_no_longer_allowed(Instant now);
    // How many requests to close the firewall has refused so far.
    [[nodiscard]] std::size_t failed_closes() const { return failed_closes_; }

private:
    struct Held {
        ClientGrant grant;
        Instant end{};
    };
    struct Element {  // of the kernel's set
        Service service;
        Address address;
        friend auto operator<=>(const Element&, const Element&) = default;
    };
    struct Close {
        Element element;
        std::optional<RequestId> waiter;  // of the revocation it belongs to
    };
    // What has become of a grant in the record; undone if the firewall refuses what it was asked for that.
    struct Change {
        ClientGrant grant;
        std::optional<Instant> before, after;  // its end; nothing: there is none
    };
    using Changes = std::vector<Change>;
    struct Asked {
        Changes changes;  // undone if it is refused: its own, and those of earlier requests that were refused
        bool alone;       // nothing else was on its way, which may have asked for the same
    };
    [[nodiscard]] static Element element_of(const ClientGrant& grant) { return {grant.service, grant.address}; }
    [[nodiscard]] static Change change_by(const Decision& decision);
    [[nodiscard]] std::vector<Held> held_by(const std::string& client, Instant now);
    [[nodiscard]] std::vector<Held> held_or_being_closed(const std::string& client, Instant now);
    struct Excess {  // over what the keys in force allow
        std::vector<Held> not_allowed;
        std::vector<Held> shortened;  // with the end that each had
    };
    [[nodiscard]] Excess hold_to_keys(Instant now);
    void ask_to_close(const Changes& changes, std::optional<RequestId> waiter, const Element& element, Instant now);
    bool end_in_record(const std::vector<Held>& grants, Instant now);
    struct Closing {
        std::size_t requests = 0;  // that it takes
        bool recorded = true;
    };
    Closing close(const std::vector<Held>& grants, std::optional<RequestId> waiter, Instant now);
    [[nodiscard]] GrantRequest change(const Element& element, Instant now);
    void settle(const Element& element, const GrantReply& reply, Instant now);
    void note(const Element& element, RequestId id, Changes changes);
    void undo(const Element& element, const Asked& refused, Instant now);
    void undo(const Change& change, Instant now);

    Channel& parent_;
    Record& record_;
    Allowed allowed_;
    std::set<ClientGrant> to_be_adopted_;            // of earlier runs, and not heard of yet
    std::unordered_map<RequestId, Knock> requests_;  // not answered yet
    std::unordered_map<RequestId, Close> closes_;    // likewise
    // All of these. A later request for the same element asks for what earlier ones have changed as well, so it makes
    // good what was refused, or is refused itself.
    std::map<Element, std::map<RequestId, Asked>> asked_;
    std::unordered_map<RequestId, Revocation> revocations_;  // by waiter
    RequestId next_id_ = 1;
    std::size_t failed_closes_ = 0;
};

}  // namespace oneknock
