#include "server/oneshot/check_config.hpp"

#include <optional>

#include "common/fd.hpp"
#include "common/findings.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keyring.hpp"
#include "server/oneshot/file_checks.hpp"
#include "server/oneshot/firewall_checks.hpp"
#include "server/oneshot/host_checks.hpp"
#include "server/parent/runtime_files.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {
namespace {

// What is found, and the first error of it.
class Check {
public:
    explicit Check(bool json) : findings_(json) {}

    [[nodiscard]] Findings& findings() { return findings_; }
    void fail(const std::string& check, const Error& error) {
        findings_.add(failed(check, error));
        if (verdict_) verdict_ = tl::unexpected(error);
    }
    // Further ones are warnings, on standard error.
    [[nodiscard]] Result<void> finish() {
        const auto told = findings_.finish();
        if (!told && verdict_) return tl::unexpected(told.error());
        return verdict_;
    }

private:
    Findings findings_;
    Result<void> verdict_;
};

void check_user_and_state(Check& check, const DaemonConfig& config) {
    const auto identity = find_identity(config.user);
    if (!identity) return check.fail("user", identity.error());
    check.findings().add(check_user(config, *identity));
    if (const auto apart = check_state_folder(config); !apart) return check.fail("state", apart.error());
    check.findings().add(check_state(config, *identity));
}

// Nothing if the door cannot be read.
std::optional<Keyring> check_keys(Check& check, const DaemonConfig& config) {
    auto door = load_door(config.door);
    if (!door) {
        check.fail("door", door.error());
        return std::nullopt;
    }
    check.findings().add(check_door(config, *door));
    auto found = load_what_is_right(std::move(*door), config.clients);
    if (!found) {
        check.fail("clients", found.error());
        return std::nullopt;
    }
    for (const Error& problem : found->problems) check.fail("client", problem);
    for (std::size_t i = 1; i < found->problems.size(); ++i) log::warning(found->problems[i].message);
    check.findings().add(check_clients(found->keyring.clients, read_clocks().wall));
    return std::move(found->keyring);
}

std::optional<Keyring> check_keys_as_the_daemon(Check& check, const DaemonConfig& config) {
    if (const auto set_aside = read_past_modes(false); !set_aside) check.fail("door", set_aside.error());
    auto keyring = check_keys(check, config);
    if (const auto taken_up = read_past_modes(true); !taken_up) check.fail("door", taken_up.error());
    return keyring;
}

void check_host(Check& check, const DaemonConfig& config) {
    check.findings().add(check_clock(config));
    check.findings().add(check_capture());
    for (const std::string& interface : config.interfaces) check.findings().add(check_interface(interface));
}

std::vector<Service> services_of(const Door& door) {
    std::vector<Service> services;
    for (const auto& [name, service] : door.services) services.push_back(service);
    return services;
}

std::string sentence(const DaemonConfig& config, const Keyring& keyring) {
    return printable(config.path) + ": OK: door " + keyring.door.name + ", services " +
           join(keyring.door.services,
                [](const auto& named) { return named.first + " (" + named.second.text() + ")"; }) +
           ", " + counted(keyring.clients.size(), "client") + ", tolerance " + duration_text(config.tolerance) +
           ", grants of " + duration_text(config.grant_default) + ", at most " + duration_text(config.grant_maximum);
}

}  // namespace

Result<void> check_config(const std::string& path, bool json) {
    Check check(json);
    const auto config = read_daemon_config(path);
    if (!config) {
        check.fail("config", config.error());
        return check.finish();
    }
    check.findings().add(sound("config", path + " is right"));
    check.findings().add(check_owners(*config));
    check_user_and_state(check, *config);
    const auto keyring = check_keys_as_the_daemon(check, *config);
    check_host(check, *config);
    if (keyring) check_firewall(check.findings(), *config, services_of(keyring->door));
    auto verdict = check.finish();
    if (!verdict || json) return verdict;
    return print_line(sentence(*config, *keyring));
}

}  // namespace oneknock
