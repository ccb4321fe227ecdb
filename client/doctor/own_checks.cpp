#include "client/doctor/own_checks.hpp"

#include <sys/timex.h>
#include <unistd.h>

#include "client/door/askpass.hpp"
#include "client/door/kernel_keyring.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr Seconds soon{7 * 24 * 3600};
constexpr long worrying = 10'000'000;  // microseconds: a sixth of what servers tolerate unless told otherwise

// As far as opening /dev/tty tells.
bool has_terminal() { return access("/dev/tty", R_OK | W_OK) == 0 && isatty(STDERR_FILENO) != 0; }

}  // namespace

Finding check_clock(UnixTime now) {
    timex state{};  // modes = 0: it is only read
    const int status = adjtimex(&state);
    const std::string shown = "it is " + time_text(now) + " here";
    const std::string advice =
        "set the clock, or have it kept: timedatectl set-ntp true. For one knock: --time-offset TIME";
    if (status < 0 || status == TIME_ERROR || (state.status & STA_UNSYNC) != 0)
        return doubtful(
            "clock", shown + ", and nothing keeps this clock: a server refuses a knock that is a minute off", advice);
    if (state.maxerror > worrying)
        return doubtful("clock", shown + ", up to " + std::to_string(state.maxerror / 1'000'000) + " s off", advice);
    return sound("clock", shown + ", at most " + std::to_string(state.maxerror / 1000) + " ms off");
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
                    "on a terminal: oneknock unlock " + door + "; or set SSH_ASKPASS");
}

}  // namespace oneknock
