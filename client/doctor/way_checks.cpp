#include "client/doctor/way_checks.hpp"

#include <algorithm>

#include "client/commands/pursue.hpp"
#include "client/commands/reasons.hpp"
#include "client/message/milliseconds.hpp"
#include "common/poll.hpp"
#include "common/protocol/special_purpose.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr const char* may_be_open_because =
    "an older grant, a trusted network or a missing guard may be the reason; on the server: oneknockctl grants";

PortWatch::Answer answer_before_a_knock(PortWatch& watch) {
    watch.attempt_before(read_clocks().steady);
    const Instant until = read_clocks().steady + PortWatch::patience;
    for (;;) {
        const Instant now = read_clocks().steady;
        const auto answer = watch.look(now);
        if (answer != PortWatch::Answer::none || now >= until) return answer;
        std::vector<pollfd> polls;
        watch.collect(polls);
        poll_until(polls, until);
    }
}

std::string service_at(const Service& service, const Target& target) {
    return service.text() + " at " + target.destination->address.text();
}

// The one that opened, else the likeliest to.
std::size_t decisive(const KnockOutcome& outcome) {
    const auto is_confirmed = [](const TargetOutcome& target) { return target.confirmed.has_value(); };
    const auto confirmed = std::ranges::find_if(outcome.targets, is_confirmed);
    if (confirmed == outcome.targets.end()) return outcome.likeliest();
    return static_cast<std::size_t>(confirmed - outcome.targets.begin());
}

}  // namespace

Finding check_name(const std::string& name, const Result<std::vector<Endpoint>>& found, Instant took) {
    if (!found) return failed("name", found.error());
    if (is_numeric(name)) return sound("name", name + " is an address, and needs no name service");
    const std::string addresses = join(
        *found, [](const Endpoint& endpoint) { return endpoint.address.text(); }, ", ");
    return sound("name", name + " is " + addresses + ", found within " + milliseconds_text(took) + " ms");
}

Finding check_route(const Target& target) {
    const Address& local = target.local->address;
    std::string text = "to " + target.destination->address.text() + " from " + local.text();
    if (!is_globally_reachable(local) && is_globally_reachable(target.destination->address))
        text += ", with a NAT on the way";
    text += target.address.is_unspecified() ? "; the knock asks for the address that the server sees"
                                            : "; the knock asks for " + target.address.text();
    if (target.warning.empty()) return sound("route", text);
    return doubtful("route", text, target.warning);
}

Finding check_port(const Target& target, const Service& service) {
    PortWatch watch(*target.local, *target.destination, service.port);
    const auto answer = answer_before_a_knock(watch);
    const std::string where = service_at(service, target);
    if (answer == PortWatch::Answer::accepted || watch.was_open_before())
        return doubtful("port", where + " is open before the knock", may_be_open_because);
    if (watch.sign() == PortWatch::Sign::reset) return sound("port", where + " is closed: it answers with resets");
    if (watch.sign() == PortWatch::Sign::unreachable)
        return doubtful("port", where + " cannot be reached, as this machine or a router says",
                        "check this machine's network, and its routes");
    return sound("port", where + " does not answer: it is closed in silence, or packets are lost on the way");
}

Finding check_knock(const PreparedKnock& prepared, KnockOptions options) {
    if (prepared.service.protocol != protocol_tcp) options.wait.reset();
    const auto outcome = pursue(prepared, options, nullptr);
    if (!outcome) return failed("knock", outcome.error());
    const std::size_t which = decisive(*outcome);
    Report report = report_of(outcome->knocks[which], options);
    if (!options.wait) return sound("knock", sent_line(report) + ", and a UDP service cannot be watched");
    if (!outcome->reached) return failed("knock", timed_out(report, prepared.door.key, options, read_clocks().wall));
    report.elapsed = outcome->targets[which].confirmed;
    if (report.was_open == true) return doubtful("knock", confirmed_line(report), may_be_open_because);
    return sound("knock", confirmed_line(report) + ", by " + via_name(report.via));
}

}  // namespace oneknock
