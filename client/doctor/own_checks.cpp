#include "client/doctor/own_checks.hpp"

#include <unistd.h>

#include "client/door/askpass.hpp"
#include "client/door/kernel_keyring.hpp"
#include "common/clock_keeping.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr Seconds soon{7 * 24 * 3600};
constexpr Seconds worrying{10};  // a sixth of what servers tolerate unless told otherwise

// As far as opening /dev/tty tells.
bool has_terminal() { return access("/dev/tty", R_OK | W_OK) == 0 && isatty(STDERR_FILENO) != 0; }

}  // namespace

Finding check_clock(UnixTime now) {
    const auto keeping = clock_keeping();
    const std::string shown = "it is " + time_text(now) + " here";
    const std::string advice =
        "set the clock, or have it kept: timedatectl set-ntp true. For one knock: --time-offset TIME";
    if (!keeping || !keeping->synchronised)
        return doubtful(
            "clock", shown + ", and nothing keeps this clock: a server refuses a knock that is a minute off", advice);
    const auto most_off = std::chrono::floor<std::chrono::milliseconds>(keeping->most_off);
    if (keeping->most_off > worrying)
        return doubtful("clock", shown + ", up to " + std::to_string(most_off / Seconds{1}) + " s off", advice);
    return sound("clock", shown + ", at most " + std::to_string(most_off.count()) + " ms off");
}

Finding check_key(const std::string& path, const StoredKey& stored, UnixTime now) {
    const KeyFile& key = clear_part(stored);
    const std::string whose = printable(path) + ": client " + key.client.name + " of door " + key.door.name +
                              ", generation " + std::to_string(key.client.generation);
    if (!key.expires) return sound("key", whose + ", without an end");
    if (*key.expires <= now)
        return failed("key", {ExitCode::data, whose + ", has expired on " + time_text(*key.expires) +
                                                  "\n-> ask the door's administrator for its successor"});
    if (*key.expires - now < soon)
        return doubtful("key", whose + ", expires on " + time_text(*key.expires),
                        "ask the door's administrator for its successor");
    return sound("key", whose + ", expires on " + time_text(*key.expires));
}

Finding check_passphrase(const StoredKey& key, const std::string& door) {
    if (!is_encrypted(key)) return sound("passphrase", "the key has none");
    if (kernel_keyring::find(std::get<EncryptedKey>(key).lock))
        return sound("passphrase", "the kernel keeps the key unlocked");
    if (const auto askpass = Askpass::choose())
        return sound("passphrase", "it will be asked for by " + askpass->program);
    if (has_terminal()) return sound("passphrase", "it will be asked for on the terminal");
    return doubtful("passphrase", "there is nobody to ask for it",
                    "on a terminal: oneknock unlock " + shell_word(door) + "; or set SSH_ASKPASS");
}

}  // namespace oneknock
