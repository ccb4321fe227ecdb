#include "server/ctl/audit.hpp"

#include "common/fd.hpp"
#include "common/secret.hpp"
#include "keys/audit/audit_reader.hpp"
#include "keys/keyring.hpp"
#include "server/ctl/audit_lines.hpp"
#include "server/ctl/watch.hpp"

namespace oneknock {
namespace {

// Read and printed at once: little memory, and moments in which the daemon cannot fold its log into the file.
constexpr int slice = 1000;

// Nothing of the door's secret is left of this when the audit is read.
Result<ServiceNames> services_of(const DaemonConfig& config, bool needed) {
    auto door = load_door(config.door);
    if (door) return std::move(door->services);
    if (needed) return tl::unexpected(door.error());
    return ServiceNames{};
}

class Printer {
public:
    Printer(AuditReader reader, AuditFilter filter, ServiceNames services, bool as_json)
        : reader_(std::move(reader)), filter_(std::move(filter)), services_(std::move(services)), as_json_(as_json) {}

    Result<void> print_heading() const {
        return as_json_ ? Result<void>{} : write_standard_output(as_bytes(audit_heading()));
    }

    // Those that have come since the last time.
    Result<void> print_lines() {
        for (;;) {
            const auto lines = reader_.lines(filter_, last_, slice);
            if (!lines) return tl::unexpected(lines.error());
            if (lines->empty()) return {};
            std::string text;
            for (const AuditLine& line : *lines)
                text += as_json_ ? audit_json(line, services_) : audit_text(line, services_);
            if (auto written = write_standard_output(as_bytes(text)); !written) return written;
            last_ = lines->back().id;
        }
    }

    Result<void> follow() {
        for (;;) {
            if (auto open = wait_a_second(); !open) return open;
            const auto replaced = reader_.take_replacement();
            if (!replaced) return tl::unexpected(replaced.error());
            if (*replaced) last_ = 0;
            if (auto printed = print_lines(); !printed) return printed;
        }
    }

private:
    AuditReader reader_;
    AuditFilter filter_;
    ServiceNames services_;
    bool as_json_;
    std::int64_t last_ = 0;  // id of the last line that was read
};

// With what to do where there is none, or where it may not be read.
Result<AuditReader> open_audit(const std::string& state) {
    auto reader = AuditReader::open(state);
    if (reader) return reader;
    Error error = std::move(reader).error();
    if (error.code == ExitCode::no_input)
        error.message += "; the daemon makes it when it is first started. Is --config of the daemon that is meant?";
    if (error.code == ExitCode::permission) error.message += "; run as root";
    return tl::unexpected(std::move(error));
}

}  // namespace

Result<void> show_audit(const AuditWords& words, bool as_json) {
    initialise_crypto();  // files are read into locked memory
    const auto config = read_daemon_config(words.config);
    if (!config) return tl::unexpected(config.error());
    auto services = services_of(*config, needs_service_names(words));
    if (!services) return tl::unexpected(services.error());
    auto filter = audit_filter(words, *services, read_clocks().wall);
    if (!filter) return tl::unexpected(filter.error());
    auto reader = open_audit(config->state);
    if (!reader) return tl::unexpected(reader.error());
    Printer printer(std::move(*reader), std::move(*filter), std::move(*services), as_json);
    if (auto printed = printer.print_heading().and_then([&] { return printer.print_lines(); }); !printed)
        return printed;
    return words.follow ? printer.follow() : Result<void>{};
}

}  // namespace oneknock
