#include "client/options/options.hpp"

#include <charconv>

#include "common/text.hpp"
#include "keys/enrolment.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

tl::unexpected<Error> usage(const std::string& sentence) { return fail(ExitCode::usage, printable(sentence)); }

Result<Seconds> read_duration(const std::optional<std::string>& word) {
    if (!word) return Seconds{0};
    const auto duration = parse_seconds(*word);
    if (!duration || *duration > Seconds{65535})
        return usage("--for " + *word +
                     ": must be a time from 1s to 65535s, such as 60s or 5m, or 0s for the server's default");
    return *duration;
}

Result<Via> read_via(const std::optional<std::string>& word) {
    if (!word || *word == "udp") return Via::udp;
    if (*word == "tcp") return Via::tcp;
    return usage("--via " + *word + ": must be udp or tcp");
}

Result<std::size_t> read_packets(const std::optional<std::string>& word) {
    if (!word) return codeword_length;
    std::size_t count = 0;
    const char* end = word->data() + word->size();
    const auto [rest, error] = std::from_chars(word->data(), end, count);
    if (error != std::errc{} || rest != end || count < message_length_ipv4 || count > codeword_length)
        return usage("--knocks " + *word + ": must be a number of packets from 36 (IPv4) or 48 (IPv6) to 64");
    return count;
}

Result<milliseconds> read_pace(const std::optional<std::string>& word, std::size_t packets) {
    if (!word) return milliseconds{0};
    const auto pace = parse_duration(*word);
    const auto pauses = static_cast<std::int64_t>(packets - 1);
    if (!pace || *pace * pauses > longest_pass)
        return usage("--pace " + *word + ": must be a pause of at most " +
                     std::to_string(longest_pass.count() / pauses) + "ms for " + std::to_string(packets) +
                     " packets, because a pass must end within 2s");
    return *pace;
}

Result<SourceChoice> read_source(const std::optional<std::string>& word) {
    if (!word || *word == "auto") return SourceChoice{};
    if (*word == "observed") return SourceChoice{.observed = true, .named = {}};
    const auto address = Address::parse(*word);
    if (!address) return usage("--source " + *word + ": must be a numeric IPv4 or IPv6 address, observed, or auto");
    if (address->is_unspecified())
        return usage("--source " + *word + ": use --source observed to open for the address the server sees");
    if (address->is_multicast() || address->is_loopback() || address->is_ipv4_mapped())
        return usage("--source " + *word +
                     ": multicast, loopback and IPv4-mapped addresses are refused by every "
                     "server; use the address your connection will come from");
    return SourceChoice{.observed = false, .named = address};
}

Result<std::optional<milliseconds>> read_wait(const std::optional<std::string>& word) {
    if (!word) return std::optional<milliseconds>{};
    const auto wait = parse_duration(*word);
    if (!wait || *wait <= milliseconds{0} || *wait > longest_wait)
        return usage("--wait=" + *word + ": must be a time from 1ms to 1h, such as --wait=10s");
    return wait;
}

Result<Seconds> read_time_offset(const std::optional<std::string>& word) {
    if (!word) return Seconds{0};
    const auto offset = parse_seconds(*word, true);
    if (!offset) return usage("--time-offset " + *word + ": must be a number of whole seconds, such as 5s or -5s");
    return *offset;
}

// Takes a value out of a result, or keeps the first error.
template <class T, class U>
void take(U& to, Result<T> from, std::optional<Error>& error) {
    if (from) to = *std::move(from);
    else if (!error) error = std::move(from).error();
}

// --for, where it is not a knock's.
Result<Seconds> read_validity(const std::optional<std::string>& word, Seconds usual, Seconds longest) {
    if (!word) return usual;
    const auto time = parse_seconds(*word);
    if (!time || *time < Seconds{1} || *time > longest)
        return usage("--for " + *word + ": must be a time from 1s to " + duration_text(longest) + ", such as 8h");
    return *time;
}

}  // namespace

Result<std::optional<int>> read_key_fd(const std::optional<std::string>& word) {
    if (!word) return std::optional<int>{};
    int fd = -1;
    const char* end = word->data() + word->size();
    const auto [rest, error] = std::from_chars(word->data(), end, fd);
    if (error != std::errc{} || rest != end || fd < 0 || fd == 1 || fd == 2)
        return usage("--key-fd " + *word +
                     ": must be the number of an open descriptor, as in: oneknock open home ssh " +
                     "--key-fd 3 3<passphrase");
    return fd;
}

Result<Seconds> read_unlocked(const std::optional<std::string>& word) {
    return read_validity(word, usual_unlocked, longest_unlocked);
}

Result<Seconds> read_enrolment_time(const std::optional<std::string>& word) {
    return read_validity(word, usual_enrolment, longest_enrolment);
}

Result<KnockOptions> read_knock_options(Operation operation, const KnockWords& words) {
    KnockOptions options;
    options.operation = operation;
    options.door = words.door;
    options.service = words.service;
    options.write = words.write;
    options.dry_run = words.dry_run;
    options.json = words.json;
    options.verbose = words.verbose;
    options.via_chosen = words.via.has_value();
    options.pace_chosen = words.pace.has_value();
    options.passes_chosen = words.packets.has_value() || words.pace.has_value();
    if (words.ipv4 || words.ipv6) options.family = words.ipv6 ? Family::ipv6 : Family::ipv4;

    std::optional<Error> error;
    take(options.duration, read_duration(words.duration), error);
    take(options.via, read_via(words.via), error);
    take(options.packets, read_packets(words.packets), error);
    take(options.pace, read_pace(words.pace, options.packets), error);
    take(options.source, read_source(words.source), error);
    take(options.wait, read_wait(words.wait), error);
    take(options.time_offset, read_time_offset(words.time_offset), error);
    take(options.key_fd, read_key_fd(words.key_fd), error);
    if (error) return tl::unexpected(*error);

    if (words.ipv4 && words.ipv6) return usage("-4 and -6 cannot be used together; omit both to use every address");
    if (options.dry_run && options.wait) return usage("--dry-run sends nothing, so there is nothing to --wait for");
    if (options.family && options.source.named && options.source.named->family != *options.family)
        return usage("--source " + options.source.named->text() + " is not of the family selected by -" +
                     (*options.family == Family::ipv4 ? "4" : "6"));
    return options;
}

}  // namespace oneknock
