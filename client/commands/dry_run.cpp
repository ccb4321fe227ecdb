#include "client/commands/dry_run.hpp"

#include "client/commands/report.hpp"
#include "client/knock/pcap_writer.hpp"
#include "client/message/nat64.hpp"

namespace oneknock {
namespace {

// A random one of the dynamic range (RFC 6335), as a kernel would choose.
std::uint16_t dynamic_port() { return static_cast<std::uint16_t>(49152 + random_below(65536 - 49152)); }

// The packets as the server would see them: a named address is the one that NAT on the way gives them.
Result<PacketEnds> packet_ends(const Target& target, std::uint16_t source_port) {
    if (!target.destination)
        return fail(ExitCode::unavailable, "--write needs the door's address, which cannot be resolved");
    const Address& destination = target.destination->address;
    if (!target.local && target.address.is_unspecified())
        return fail(ExitCode::unavailable, "--write needs a source address, and there is no route to " +
                                               destination.text() + "; use --source ADDR");
    if (target.address.is_unspecified()) return PacketEnds{target.local->address, destination, source_port, 0};
    return PacketEnds{target.address, well_known_nat64(destination).value_or(destination), source_port, 0};
}

Report make_report(const Task& task, const KnockOptions& options, const Target& target, UnixTime now) {
    const KnockMessage message = make_message(task, target.address, now);
    Report report;
    report.service = options.service;
    report.request = message.request;
    if (target.destination) report.destination = target.destination->address;
    report.source_port = dynamic_port();
    report.via = options.via;
    report.ports = ports_of_pass(message, options.packets);
    return report;
}

}  // namespace

Result<void> dry_run(const Task& task, const KnockOptions& options, const std::vector<Target>& targets, UnixTime now) {
    if (options.write)
        for (const Target& target : targets)
            if (const auto ends = packet_ends(target, 0); !ends) return tl::unexpected(ends.error());
    auto record = PcapWriter::create_if(options.write);
    if (!record) return tl::unexpected(record.error());
    Result<void> result;
    for (const Target& target : targets) {
        const Report report = make_report(task, options, target, now);
        if (*record) (*record)->add(report.via, *packet_ends(target, report.source_port), report.ports, now);
        keep_first_error(result, print_report(report, options));
    }
    if (*record) keep_first_error(result, (*record)->finish());
    return result;
}

}  // namespace oneknock
