#include "client/explain/explain.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "client/door/key_store.hpp"
#include "client/explain/ports_in_text.hpp"
#include "common/fd.hpp"
#include "common/json.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr std::size_t largest_text = std::size_t{64} << 20;

Result<std::string> read_text(int fd, const std::string& name) {
    std::string text;
    std::array<char, 65536> part{};
    for (;;) {
        const ssize_t got = read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(system_error("read", name, ExitCode::data));
        if (got == 0) return text;
        text.append(part.data(), static_cast<std::size_t>(got));
        if (text.size() > largest_text) return fail(ExitCode::data, printable(name) + ": too large");
    }
}

Result<std::string> read_input(const std::string& file) {
    if (file == "-") return read_text(STDIN_FILENO, "standard input");
    const Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return tl::unexpected(system_error("open", file, ExitCode::no_input));
    return read_text(fd.get(), file);
}

// pcap in either order of bytes, with micro- or nanoseconds, and pcapng.
bool is_capture(std::string_view text) {
    const std::array<std::string_view, 5> beginnings{"\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1",
                                                     "\xa1\xb2\x3c\x4d", "\x0a\x0d\x0d\x0a"};
    return std::ranges::any_of(beginnings, [&](std::string_view beginning) { return text.starts_with(beginning); });
}

std::string service_name(const Request& request, const KeyFile& key) {
    const auto is_it = [&](const auto& service) { return service.second == request.service(); };
    const auto named = std::ranges::find_if(key.services, is_it);
    return request.service().text() + (named == key.services.end() ? "" : ", which the key calls " + named->first);
}

std::string age(UnixTime made, UnixTime now) {
    return made <= now ? duration_text(now - made) + " ago" : "in " + duration_text(made - now);
}

std::string meaning_of(const Address& address) {
    return address.is_unspecified() ? "none: the one that the server sees" : address.text();
}

// The nearest to being one.
Error no_knock(const std::vector<std::uint16_t>& ports, const KeyFile& key, UnixTime now) {
    const std::string count = counted(ports.size(), "port");
    const BestHour best = best_hour(ports, key, now);
    const std::size_t by_chance = ports.size() / 2;
    if (ports.size() < message_length(Family::ipv4))
        return {ExitCode::data,
                count + ": too few for a knock, which has at least " + std::to_string(message_length(Family::ipv4))};
    if (best.symbols <= by_chance)
        return {ExitCode::data, count + ": no knock at this door in the last " +
                                    std::to_string(longest_ago.count() / 24) +
                                    " days; another door's, an earlier generation's, or no knock at all"};
    return {ExitCode::data,
            count + ": " + std::to_string(best.symbols) + " of them belong to this door's codebook of the hour from " +
                time_text(start_of(best.hour)) + ", but they are no knock of client " + key.client.name +
                ": another client's, another generation's, or too much of it is missing"};
}

}  // namespace

std::string explanation_text(const TakenApart& knock, const KeyFile& key, UnixTime now) {
    const Request& request = knock.request;
    const std::size_t needed = message_length(knock.message.family);
    const auto number = [](auto value) { return std::to_string(value); };
    return table({
        {"codebook",
         "the hour from " + time_text(start_of(knock.hour)) + ", door generation " + number(key.door.generation)},
        {"code word", number(knock.symbols) + " of " + number(codeword_length) + " symbols, and " +
                          number(knock.wrong) + " wrong ones; an IPv" + number(static_cast<int>(knock.message.family)) +
                          " message needs " + number(needed)},
        {"message", to_hex(knock.message.span())},
        {"hint", to_hex(knock.message.hint().bytes) +
                     (knock.hint_is_ours ? "" : ", not this client's: the server cannot find the key")},
        {"tag", to_hex(knock.message.tag().bytes) + ", right for client " + key.client.name + ", generation " +
                    number(key.client.generation)},
        {"operation", number(request.operation) + ": " + operation_name(request.operation)},
        {"protocol", number(request.protocol)},
        {"port", number(request.port) + ": " + service_name(request, key)},
        {"duration", number(request.duration_s) + (request.duration_s == 0 ? ": the server's default" : " s")},
        {"time", number(request.time) + ": " + time_text(request.made_at()) + ", " + age(request.made_at(), now)},
        {"nonce", to_hex(request.nonce)},
        {"address", meaning_of(request.address)},
    });
}

std::string explanations_json(const std::vector<TakenApart>& knocks, const KeyFile& key, std::size_t packets) {
    std::string text = R"({"schema":1,"packets":)" + std::to_string(packets) + R"(,"knocks":[)";
    for (const TakenApart& knock : knocks) {
        const Request& request = knock.request;
        const auto member = [&](const char* name, const std::string& value) {
            text += std::string(text.back() == '{' ? "" : ",") + json::quote(name) + ":" + value;
        };
        text += &knock == knocks.data() ? "{" : ",{";
        member("hour", json::quote(time_text(start_of(knock.hour))));
        member("door_generation", std::to_string(key.door.generation));
        member("symbols", std::to_string(knock.symbols));
        member("wrong", std::to_string(knock.wrong));
        member("family", std::to_string(static_cast<int>(knock.message.family)));
        member("message", json::quote(to_hex(knock.message.span())));
        member("hint_is_ours", knock.hint_is_ours ? "true" : "false");
        member("client", json::quote(key.client.name));
        member("generation", std::to_string(key.client.generation));
        member("operation", json::quote(operation_name(request.operation)));
        member("service", json::quote(request.service().text()));
        member("duration_s", std::to_string(request.duration_s));
        member("time", std::to_string(request.time));
        member("nonce", json::quote(to_hex(request.nonce)));
        member("address", request.address.is_unspecified() ? "null" : json::quote(request.address.text()));
        text += "}";
    }
    return text + "]}";
}

Result<void> explain_command(const ExplainOptions& options) {
    const UnixTime now = read_clocks().wall;
    const auto input = read_input(options.file);
    if (!input) return tl::unexpected(input.error());
    if (is_capture(*input))
        return fail(ExitCode::data, "a capture is read through tcpdump: tcpdump -nn -r FILE | oneknock explain " +
                                        shell_word(options.door));
    const auto ports = ports_in(*input);
    const auto door = open_door(options.door, UnixTime{}, options.key_fd);  // an expired key explains as well
    if (!door) return tl::unexpected(door.error());
    const auto knocks = take_apart(ports, door->key, now);
    if (knocks.empty()) return tl::unexpected(no_knock(ports, door->key, now));
    if (options.json) return print_line(explanations_json(knocks, door->key, ports.size()));
    std::string text;
    for (const TakenApart& knock : knocks) text += (text.empty() ? "" : "\n") + explanation_text(knock, door->key, now);
    return write_standard_output(as_bytes(text));
}

}  // namespace oneknock
