#include "client/knock/targets.hpp"

#include <algorithm>

#include "client/message/nat64.hpp"
#include "client/message/source_address.hpp"

namespace oneknock {
namespace {

std::optional<Family> wanted_family(const KnockSettings& settings) {
    if (settings.source.named) return settings.source.named->family;
    return settings.family;
}

// A dry run needs no destination if the words say what the message says.
std::optional<Target> target_without_destination(const KnockSettings& settings) {
    const auto family = wanted_family(settings);
    if (!settings.dry_run || !family || settings.source.automatic()) return std::nullopt;
    return Target{*family, {}, {}, settings.source.named.value_or(Address::any(*family)), {}};
}

// --source ADDR goes into messages of its own family alone.
bool is_named_family(const KnockSettings& settings, const Address& destination) {
    if (!settings.source.named) return true;
    const Route route{destination, destination, false, well_known_nat64(destination).has_value()};
    return settings.source.named->family == message_family(route);
}

Error wrong_family(const KnockSettings& settings, const std::string& name) {
    return {ExitCode::usage, "--source " + settings.source.named->text() + ": " + name +
                                 " has no address of that family; give a source address of the other one"};
}

}  // namespace

bool is_behind_nat64(const Address& destination) {
    const auto answers = resolve_until(nat64_question, Family::ipv6, read_clocks().steady + Seconds{2});
    if (!answers) return false;
    return std::ranges::any_of(*answers, [&](const Endpoint& answer) {
        const auto prefix = nat64_prefix(answer.address);
        return prefix && embedded_ipv4(*prefix, destination);
    });
}

Result<Target> find_target(const Endpoint& destination, const KeyFile& key, const KnockSettings& settings,
                           bool translated) {
    Route route{Address::any(destination.address.family), destination.address, false, translated};
    route.translated = translated || well_known_nat64(destination.address);
    Target target{message_family(route), destination, {}, {}, {}};
    const auto local = route_source(destination);
    const bool route_needed = !settings.dry_run || settings.source.automatic();
    if (!local && route_needed) return tl::unexpected(local.error());
    if (local) {
        target.local = *local;
        route.local = local->address;
    }
    const SourcePolicy& policy = key.client.source;
    if (depends_on_link(settings.source, policy, route.local)) route.on_link = is_on_link(*local, destination);
    auto address = message_address(settings.source, policy, route);
    if (!address) return tl::unexpected(address.error());
    target.address = address->address;
    target.warning = std::move(address->warning);
    return target;
}

Result<std::vector<Target>> find_targets(const KeyFile& key, const KnockSettings& settings,
                                         std::vector<std::string>& warnings, std::optional<Instant> deadline) {
    const auto endpoints = deadline ? resolve_until(key.door.address, settings.family, *deadline)
                                    : resolve(key.door.address, settings.family);
    if (!endpoints) {
        if (const auto target = target_without_destination(settings)) return std::vector{*target};
        return tl::unexpected(endpoints.error());
    }
    std::vector<Target> targets;
    std::vector<Error> errors;
    for (const Endpoint& endpoint : *endpoints) {
        if (!is_named_family(settings, endpoint.address)) continue;
        if (auto target = find_target(endpoint, key, settings)) targets.push_back(*std::move(target));
        else errors.push_back(target.error());
    }
    if (targets.empty())
        return tl::unexpected(errors.empty() ? wrong_family(settings, key.door.address) : errors.front());
    // A machine without IPv6 is no news when the door answers on IPv4 as well.
    for (const Error& error : errors)
        if (error.code != ExitCode::unavailable) warnings.push_back(error.message);
    for (const Target& target : targets)
        if (!target.warning.empty()) warnings.push_back(target.warning);
    return targets;
}

}  // namespace oneknock
