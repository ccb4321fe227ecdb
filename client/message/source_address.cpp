#include "client/message/source_address.hpp"

#include "common/protocol/special_purpose.hpp"

namespace oneknock {
namespace {

constexpr const char* ask = "or ask the administrator to allow this client `observed`";

std::string nat_warning(const Route& route) {
    return route.local.text() + " is a private address and " + route.destination.text() +
           " is public: the server will see your NAT's public address, and refuse the knock. Use --source " +
           "YOUR.PUBLIC.ADDRESS, " + ask;
}

Error nat64_needs_observed(const Route& route) {
    return {ExitCode::usage, route.destination.text() +
                                 " is an IPv4 server behind this network's NAT64, whose address the server will see; "
                                 "this key's source policy is `same`: use --source THE.NAT64.IPV4.ADDRESS, " +
                                 ask};
}

}  // namespace

bool may_be_observed(const SourcePolicy& policy) { return policy.mode() != SourcePolicy::Mode::same; }

Result<void> check_choice(const SourceChoice& choice, const SourcePolicy& policy) {
    if (!choice.observed || may_be_observed(policy)) return {};
    return fail(ExitCode::usage,
                "--source observed: this key's source policy is `same`, so the server would refuse the knock; use "
                "--source YOUR.PUBLIC.ADDRESS, or ask the administrator to allow this client `observed`");
}

Family message_family(const Route& route) { return route.translated ? Family::ipv4 : route.destination.family; }

bool depends_on_link(const SourceChoice& choice, const SourcePolicy& policy, const Address& local) {
    return choice.automatic() && may_be_observed(policy) && !is_globally_reachable(local);
}

Result<MessageAddress> message_address(const SourceChoice& choice, const SourcePolicy& policy, const Route& route) {
    const MessageAddress observed{Address::any(message_family(route)), {}};
    if (choice.named) return MessageAddress{*choice.named, {}};
    if (choice.observed) return observed;
    if (route.local.is_loopback())
        return fail(ExitCode::usage, "the door's address " + route.destination.text() +
                                         " is this machine's own; local connections need no knock");
    if (route.translated) {
        if (may_be_observed(policy)) return observed;
        return tl::unexpected(nat64_needs_observed(route));
    }
    if (depends_on_link(choice, policy, route.local) && !route.on_link) return observed;
    const bool crosses_nat = !is_globally_reachable(route.local) && is_globally_reachable(route.destination);
    return MessageAddress{route.local, crosses_nat ? nat_warning(route) : ""};
}

}  // namespace oneknock
