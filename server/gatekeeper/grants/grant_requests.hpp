// What is asked of the firewall, and what it answers: the grants of accepted knocks, and the closing of grants.
//
// A grant is on its way from the request to the reply; in the kernel it is open before the reply is here. The channel
// keeps the order, so a grant that is on its way is closed by a request behind its own.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/decide/knock_latency.hpp"
#include "server/gatekeeper/grants/grant_list.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

class GrantRequests {
public:
    // Whether the keys in force let a client of this name have the service. If they do not, the grant is closed as soon
    // as it is listed: it dates from before the keys changed.
    using Allowed = std::function<bool(const std::string& client, const Service& service)>;

    // `parent` must live as long.
    GrantRequests(Channel& parent, Allowed allowed) : parent_(parent), allowed_(std::move(allowed)) {}

    struct Knock {
        Decision decision;
        KnockMoments moments;  // up to the request
        bool is_revoked = false;
    };
    // Asks for what an accepted knock wants. False: too much is asked of the firewall already.
    [[nodiscard]] bool request(const Decision& decision, const KnockMoments& moments);
    // The knock this is the answer to, if it is to one. After ETIMEDOUT a grant may be open; it is listed then.
    [[nodiscard]] std::optional<Knock> answer_to_knock(const GrantReply& reply, Instant now);
    [[nodiscard]] bool awaits_answers() const { return !requests_.empty(); }  // to knocks

    // Takes note of a grant of an earlier run. All of them come in a row: who holds them is asked of the audit once,
    // and forgotten a moment later.
    void adopt(const AdoptedGrant& adopted, Record& record, const Now& now);
    void forget_holders(Instant now);

    [[nodiscard]] std::size_t count(Instant now) { return list_.count(now); }
    [[nodiscard]] std::vector<GrantList::Entry> live(Instant now) { return list_.live("", now); }

    // Closes the grants of one client, or of all if it is empty, and those on their way; how many. Where there are any,
    // answer_to_close() says when they are closed.
    std::size_t revoke(const std::string& client, RequestId waiter, Instant now);
    struct Revocation {
        RequestId waiter = 0;
        std::size_t awaited = 0;  // replies of the firewall
        std::size_t closed = 0;
        bool failed = false;  // not all could be closed
    };
    // The revocation that is complete with this answer. A grant that could not be closed is listed again.
    [[nodiscard]] std::optional<Revocation> answer_to_close(const GrantReply& reply, Instant now);

    // Whoever was revoked or taken out, or may no longer open a service, loses what it opened; how many grants. Where
    // the audit does not know who that was, the grant stays until its end.
    std::size_t close_what_is_no_longer_allowed(Instant now);

private:
    [[nodiscard]] std::vector<GrantList::Entry> to_revoke(const std::string& client, Instant now);
    void note(const GrantList::Entry& grant, Instant now);
    void close(const GrantList::Entry& grant, std::optional<RequestId> waiter = std::nullopt);

    struct Close {
        GrantList::Entry grant;
        std::optional<RequestId> waiter;  // of the revocation it belongs to
    };

    Channel& parent_;
    Allowed allowed_;
    GrantList list_;
    std::unordered_map<RequestId, Knock> requests_;          // not answered yet
    std::unordered_map<RequestId, Close> closes_;            // likewise
    std::unordered_map<RequestId, Revocation> revocations_;  // by waiter
    RequestId next_id_ = 1;

    std::optional<Record::Holders> holders_;  // while grants are adopted
    Instant holders_until_{};
};

}  // namespace oneknock
