#include "client/commands/commands.hpp"
#include "client/door/enrolments.hpp"
#include "client/door/keys_lock.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace oneknock {

Result<void> enrol_command(const EnrolOptions& options) {
    const UnixTime now = read_clocks().wall;
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    if (const auto made = make_folders(*folder); !made) return tl::unexpected(made.error());
    warn_of_loose_folder(*folder);
    const EnrolmentKey key = EnrolmentKey::generate(now + options.time);
    const auto path = KeysLock::wait_for(*folder).and_then([&](const KeysLock&) {
        forget_expired_enrolments(*folder, now);
        return keep_enrolment(*folder, key);
    });
    if (!path) return tl::unexpected(path.error());
    if (auto printed = print_line(enrolment_text(key.shown())); !printed) {
        static_cast<void>(forget_enrolment(*path));  // of what nobody has seen
        return printed;
    }
    log::info("send this line to the administrator of the door: it is no secret, is good for one key, and expires at " +
              time_text(key.expires));
    log::info("there: oneknock-keygen add CLIENT --allow SERVICE --for LINE -o FILE; then here: oneknock import FILE");
    return {};
}

}  // namespace oneknock
