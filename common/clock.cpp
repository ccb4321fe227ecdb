#include "common/clock.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

#include <time.h>

namespace oneknock {
namespace {

using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    milliseconds length;
};

constexpr std::array units{Unit{"ms", milliseconds{1}},         Unit{"s", milliseconds{1'000}},
                           Unit{"m", milliseconds{60'000}},     Unit{"h", milliseconds{3'600'000}},
                           Unit{"d", milliseconds{86'400'000}}, Unit{"w", milliseconds{604'800'000}}};

Instant now_on(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return Seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace

Now read_clocks() {
    // The kernel's timeouts of set elements stand still while the machine sleeps, so what counts them must as well:
    // else a grant would be over here, past listing and revoking, that still opens the port there.
    return {UnixTime{std::chrono::floor<Seconds>(now_on(CLOCK_REALTIME))}, now_on(CLOCK_MONOTONIC)};
}

std::optional<milliseconds> parse_duration(std::string_view text, bool allow_negative) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || (count < 0 && !allow_negative)) return std::nullopt;
    const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const Unit& unit : units)
        if (unit.name == name && count <= milliseconds{Seconds{1'000'000'000'000}} / unit.length &&
            count >= -(milliseconds{Seconds{1'000'000'000'000}} / unit.length))
            return count * unit.length;
    return std::nullopt;
}

std::optional<Seconds> parse_seconds(std::string_view text, bool allow_negative) {
    const auto duration = parse_duration(text, allow_negative);
    if (!duration || *duration % Seconds{1} != milliseconds{0}) return std::nullopt;
    return std::chrono::duration_cast<Seconds>(*duration);
}

std::string duration_text(Seconds seconds) {
    for (const auto& [name, length] : {std::pair{"d", 86400}, {"h", 3600}, {"m", 60}})
        if (seconds > Seconds{60} && seconds.count() % length == 0)
            return std::to_string(seconds.count() / length) + name;
    return std::to_string(seconds.count()) + "s";
}

std::optional<UnixTime> parse_time(std::string_view text) {
    const std::string terminated(text);
    int year = 0;
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
    int used = 0;
    if (text.size() != 20 ||
        std::sscanf(terminated.c_str(), "%4d-%2u-%2uT%2u:%2u:%2uZ%n", &year, &month, &day, &hour, &minute, &second,
                    &used) != 6 ||
        used != 20)
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
    if (!date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    const UnixTime time =
        std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} + Seconds{second};
    return time_text(time) == text ? std::optional(time) : std::nullopt;  // sscanf also takes blanks and signs
}

std::string time_text(UnixTime time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss clock{time - days};
    char text[48];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02ld:%02ld:%02ldZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                  clock.minutes().count(), static_cast<long>(clock.seconds().count()));
    return text;
}

}  // namespace oneknock
