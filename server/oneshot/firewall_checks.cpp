#include "server/oneshot/firewall_checks.hpp"

#include <algorithm>
#include <fstream>

#include "common/ask_daemon.hpp"
#include "common/text.hpp"
#include "server/firewall/firewall.hpp"

namespace oneknock {
namespace {

constexpr Seconds patience{2};

enum class Daemon : std::uint8_t { answers, silent, unknown };

Daemon look_for_daemon(const DaemonConfig& config) {
    const auto daemon = connect_to_daemon(config.socket, patience);
    if (daemon) return Daemon::answers;
    return daemon.error().code == ExitCode::permission ? Daemon::unknown : Daemon::silent;
}

std::string what_to_start(const DaemonConfig& config) {
    return config.path == default_config ? "systemctl start oneknockd"
                                         : "oneknockd --config " + shell_word(config.path);
}

Finding of_state(Firewall::State state, Daemon daemon, const DaemonConfig& config) {
    const std::string table = "table " + grant_sets(config.firewall).table.text();
    if (state == Firewall::State::absent)
        return daemon == Daemon::answers
                   ? doubtful("table", table + " is not loaded, though a daemon answers: nothing is closed",
                              "is it on --dry-run? If not, see its log: journalctl -u oneknockd")
                   : sound("table",
                           table + " is not loaded: nothing is closed by it until the guard or the daemon starts");
    if (state == Firewall::State::changed)
        return doubtful(
            "table", table + " is not what this configuration makes: changed by others, or of other services",
            daemon == Daemon::answers ? "see the daemon's log; a restart makes it anew: " + what_to_start(config)
                                      : "make it anew: oneknockd --config " + shell_word(config.path) + " --guard");
    if (daemon == Daemon::silent)
        return doubtful("table", table + " is loaded, but no daemon answers on " + config.socket + ": nobody can open",
                        what_to_start(config));
    return sound("table",
                 table + " is loaded and as it should be" + (daemon == Daemon::answers ? "; a daemon answers" : ""));
}

Finding of_sets(Daemon daemon, const DaemonConfig& config) {
    if (daemon == Daemon::silent)
        return doubtful("table", "the sets of grants are there, but no daemon answers on " + config.socket,
                        what_to_start(config));
    return sound("table", "the sets of grants are there");
}

// Only the daemon's own start makes an error of it.
Finding not_to_be_read(const Error& error) {
    if (error.code == ExitCode::permission) return unseen("table", error.message, "run it as root");
    return doubtful("table", error.message, "the daemon would not start");
}

void check_table(Findings& findings, Firewall& firewall, const DaemonConfig& config) {
    const Daemon daemon = look_for_daemon(config);
    const auto state = firewall.look();
    if (!state) findings.add(not_to_be_read(state.error()));
    else
        findings.add(config.firewall.mode == FirewallMode::set ? of_sets(daemon, config)
                                                               : of_state(*state, daemon, config));
    if (const auto unseen = firewall.what_nobody_looks_at(); unseen && *unseen)
        findings.add(doubtful("table", "no rule of nftables looks at " + **unseen,
                              "unless rules of another kind do, the services are open to everyone: see "
                              "oneknockd.json(5), firewall.mode"));
}

struct Software {
    std::string_view name, how_to_see;
};
constexpr Software known[] = {{"ufw", "ufw status"},
                              {"firewalld", "firewall-cmd --list-all"},
                              {"Docker", "iptables -S DOCKER-USER"},
                              {"fail2ban", "fail2ban-client banned"},
                              {"CrowdSec", "cscli decisions list"}};

std::string how_to_see(const std::string& software) {
    const auto* const found = std::ranges::find(known, software, &Software::name);
    return std::string(found == std::end(known) ? "nft list ruleset" : found->how_to_see);
}

std::string services_with(const std::vector<Service>& services, const std::vector<Mention>& mentions, Mention which) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < services.size(); ++i)
        if (mentions[i] == which) texts.push_back(services[i].text());
    return join(texts);
}

void tell_of_chain(Findings& findings, const Firewall::DroppingChain& chain, const std::vector<Service>& services) {
    const std::string drops = "chain " + printable(chain.name) + " drops what it does not accept";
    const auto of = [&](Mention which) { return services_with(services, chain.mentions, which); };
    if (const std::string none = of(Mention::none); !none.empty())
        findings.add(doubtful("others", drops + ", and no rule of its table names " + none,
                              "a grant opens nothing that another chain drops: accept " + none + " there as well"));
    if (const std::string unreadable = of(Mention::unreadable); !unreadable.empty())
        findings.add(unseen("others", drops + "; its rules for " + unreadable + " are those of iptables",
                            "see that they accept it: iptables -S, ip6tables -S; or, with ufw: ufw status"));
    if (const std::string named = of(Mention::named); !named.empty())
        findings.add(sound("others", drops + "; rules of its table name " + named));
}

// Their tables, which nf_tables does not show; root alone may read the list.
void check_legacy_rules(Findings& findings) {
    std::vector<std::string> tables;
    for (const char* list : {"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"}) {
        std::ifstream names(list);
        for (std::string name; std::getline(names, name);)
            if (std::ranges::find(tables, name) == tables.end()) tables.push_back(name);
    }
    if (tables.empty()) return;
    findings.add(doubtful("others",
                          "iptables-legacy has rules (" + join(tables, printable) + "), which nft does not show",
                          "see that they accept the services: iptables-legacy -S, ip6tables-legacy -S"));
}

void check_others(Findings& findings, Firewall& firewall) {
    const auto others = firewall.look_at_others();
    if (!others) return static_cast<void>(findings.add(unseen("others", others.error().message, "run it as root")));
    for (const std::string& software : others->software)
        findings.add(sound("others", software + " is here; what it lets in: " + how_to_see(software)));
    for (const auto& chain : others->dropping) tell_of_chain(findings, chain, firewall.services());
    check_legacy_rules(findings);
    if (others->software.empty() && others->dropping.empty())
        findings.add(sound("others", "no chain of nftables drops what a knock opens"));
}

}  // namespace

void check_firewall(Findings& findings, const DaemonConfig& config, const std::vector<Service>& services) {
    auto firewall = Firewall::open(config.firewall, services);
    if (!firewall) return static_cast<void>(findings.add(not_to_be_read(firewall.error())));
    check_table(findings, *firewall, config);
    check_others(findings, *firewall);
}

}  // namespace oneknock
