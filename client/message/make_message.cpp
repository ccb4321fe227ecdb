#include "client/message/make_message.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/protocol/knock.hpp"

namespace oneknock {
namespace {

Request make_request(const Task& task, const Address& address, UnixTime now) {
    Request request;
    request.operation = static_cast<std::uint8_t>(task.settings.operation);
    request.protocol = task.service.protocol;
    request.port = task.service.port;
    if (request.is_open()) request.duration_s = static_cast<std::uint16_t>(task.settings.duration.count());
    request.time = static_cast<std::uint32_t>((now + task.settings.time_offset).time_since_epoch().count());
    fill_random(request.nonce);
    request.address = address;
    return request;
}

// For std::shuffle, from the kernel in one call.
class RandomWords {
public:
    using result_type = std::uint32_t;
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return UINT32_MAX; }
    result_type operator()() {
        if (used_ == words_.size()) {
            fill_random({reinterpret_cast<std::uint8_t*>(words_.data()), sizeof words_});
            used_ = 0;
        }
        return words_[used_++];
    }

private:
    std::array<result_type, codeword_length> words_{};
    std::size_t used_ = words_.size();
};

}  // namespace

KnockMessage make_message(const Task& task, const Address& address, UnixTime now) {
    const KeyFile& key = task.key;
    const Request request = make_request(task, address, now);
    return {request, make_knock(request, key.client.secret, key.door.secret, key.door.id, key.door.span).ports};
}

Result<UnixTime> message_time(const KnockSettings& settings, UnixTime now) {
    const UnixTime time = now + settings.time_offset;
    const auto seconds = time.time_since_epoch().count();
    if (seconds < 0 || seconds > std::numeric_limits<std::uint32_t>::max())
        return fail(ExitCode::usage, "--time-offset gives the time " + time_text(time) +
                                         ", which a knock cannot carry; correct it, or this machine's clock");
    return time;
}

Result<void> check_packet_count(std::size_t packets, Family family) {
    const std::size_t least = message_length(family);
    if (packets >= least) return {};
    return fail(ExitCode::usage, "--knocks " + std::to_string(packets) + ": an " +
                                     (family == Family::ipv6 ? "IPv6" : "IPv4") + " knock needs " +
                                     std::to_string(least) + " to 64 packets; send more" +
                                     (family == Family::ipv6 ? ", or use -4" : ""));
}

std::vector<std::uint8_t> sending_order(std::size_t count) {
    std::vector<std::uint8_t> order(codeword_length);
    std::iota(order.begin(), order.end(), std::uint8_t{0});
    std::shuffle(order.begin(), order.end(), RandomWords{});
    order.resize(count);
    return order;
}

std::vector<std::uint16_t> ports_of_pass(const KnockMessage& message, std::size_t count) {
    std::vector<std::uint16_t> ports;
    ports.reserve(count);
    for (const std::uint8_t position : sending_order(count)) ports.push_back(message.ports[position]);
    return ports;
}

}  // namespace oneknock
