#include "client/doctor/doctor.hpp"

#include <algorithm>

#include "client/doctor/own_checks.hpp"
#include "client/doctor/way_checks.hpp"
#include "client/message/make_message.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// Nothing if what was found wrong ends it.
std::optional<StoredKey> look_at_key(Findings& findings, const std::string& door, UnixTime now) {
    auto path = find_door(door);
    auto stored = path ? read_stored_key(*path) : tl::unexpected(path.error());
    if (!stored) {
        findings.add(failed("key", stored.error()));
        return std::nullopt;
    }
    if (!findings.add(check_key(*path, *stored, now))) return std::nullopt;
    findings.add(check_passphrase(*stored, door));
    return std::move(*stored);
}

void look_at_all_keys(Findings& findings, UnixTime now) {
    const auto folder = config_folder();
    if (!folder) {
        findings.add(failed("key", folder.error()));
        return;
    }
    const auto names = names_in(*folder);
    for (const std::string& name : names) look_at_key(findings, name, now);
    if (names.empty())
        findings.add(failed("key", {ExitCode::no_input, "no imported doors in " + printable(*folder) +
                                                            "; import one with: oneknock import FILE"}));
}

// An address without a route (a machine without IPv6) stands in the way only if there is no other.
std::vector<Target> look_at_routes(Findings& findings, const KeyFile& key, const KnockOptions& options,
                                   const std::vector<Endpoint>& endpoints) {
    std::vector<Target> targets;
    std::vector<Error> errors;
    for (const Endpoint& endpoint : endpoints) {
        auto target = find_target(endpoint, key, options);
        if (!target) errors.push_back(target.error());
        else if (findings.add(check_route(*target))) targets.push_back(*std::move(target));
    }
    for (const Error& error : errors)
        findings.add(targets.empty() ? failed("route", error)
                                     : doubtful("route", error.message, "nothing, as long as another address works"));
    return targets;
}

std::vector<Target> look_at_way(Findings& findings, const KeyFile& key, const KnockOptions& options) {
    const Instant start = read_clocks().steady;
    const auto found = resolve_until(key.door.address, options.family, start + default_wait);
    if (!findings.add(check_name(key.door.address, found, read_clocks().steady - start))) return {};
    return look_at_routes(findings, key, options, *found);
}

std::string usual_service(const KeyFile& key) {
    if (key.services.contains("ssh") || key.services.empty()) return "ssh";
    return key.services.begin()->first;
}

void try_the_door(Findings& findings, const KnockOptions& options, UnixTime now, std::vector<Target> targets) {
    auto door = open_door(options.door, now, options.key_fd);
    if (!door) {
        findings.add(failed("key", door.error()));
        return;
    }
    const auto service = find_service(*door, options.service.empty() ? usual_service(door->key) : options.service);
    if (!service) {
        findings.add(failed("service", service.error()));
        return;
    }
    if (service->protocol == protocol_tcp)
        for (const Target& target : targets) findings.add(check_port(target, *service));
    const Instant deadline = read_clocks().steady + options.wait.value_or(default_wait);
    findings.add(check_knock({*std::move(door), *service, std::move(targets), std::nullopt, deadline}, options));
}

}  // namespace

Result<int> doctor_command(const DoctorOptions& options) {
    Findings findings(options.knock.json);
    const auto now = message_time(options.knock, read_clocks().wall);
    if (!now) return tl::unexpected(now.error());
    findings.add(check_clock(*now));
    if (options.knock.door.empty()) {
        look_at_all_keys(findings, *now);
        return findings.finish();
    }
    if (const auto stored = look_at_key(findings, options.knock.door, *now)) {
        auto targets = look_at_way(findings, clear_part(*stored), options.knock);
        if (options.knocks && !targets.empty()) try_the_door(findings, options.knock, *now, std::move(targets));
    }
    return findings.finish();
}

}  // namespace oneknock
