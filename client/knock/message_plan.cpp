#include "client/knock/message_plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

namespace oneknock {

Request make_request(const Task& task, const Address& address, UnixTime now) {
    Request request;
    request.operation = static_cast<std::uint8_t>(task.options.operation);
    request.protocol = task.service.protocol;
    request.port = task.service.port;
    if (task.options.operation == Operation::open)
        request.duration_s = static_cast<std::uint16_t>(task.options.duration.count());
    request.time = static_cast<std::uint32_t>((now + task.options.time_offset).time_since_epoch().count());
    fill_random(request.nonce);
    request.address = address;
    return request;
}

Knock make_knock(const Task& task, const Request& request) {
    const KeyFile& key = task.key;
    return make_knock(request, key.client.secret, key.door.secret, key.door.id, key.door.span);
}

Result<UnixTime> knock_time(const KnockOptions& options, UnixTime now) {
    const UnixTime time = now + options.time_offset;
    const auto seconds = time.time_since_epoch().count();
    if (seconds < 0 || seconds > std::numeric_limits<std::uint32_t>::max())
        return fail(ExitCode::usage, "--time-offset leads to " + time_text(time) +
                                         ", which a knock cannot carry; correct "
                                         "it, or this machine's clock");
    return time;
}

namespace {

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

std::vector<std::uint8_t> sending_order(std::size_t count) {
    std::vector<std::uint8_t> order(codeword_length);
    std::iota(order.begin(), order.end(), std::uint8_t{0});
    std::shuffle(order.begin(), order.end(), RandomWords{});
    order.resize(count);
    return order;
}

std::vector<std::uint16_t> ports_of_pass(const Knock& knock, std::size_t count) {
    std::vector<std::uint16_t> ports;
    ports.reserve(count);
    for (const std::uint8_t position : sending_order(count)) ports.push_back(knock.ports[position]);
    return ports;
}

Result<void> check_packets(std::size_t packets, const std::vector<Target>& targets) {
    for (const Target& target : targets)
        if (packets < message_length(target.family))
            return fail(ExitCode::usage, "--knocks " + std::to_string(packets) +
                                             ": an IPv6 knock needs 48 to 64 packets "
                                             "(IPv4: 36 to 64); write more, or -4");
    return {};
}

}  // namespace oneknock
