#include "server/oneshot/host_checks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock_keeping.hpp"
#include "common/fd.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

bool is_up(const std::string& name) {
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof request.ifr_name - 1));
    const Descriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return fd && ioctl(fd.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

std::vector<std::string> interfaces_that_are_up() {
    std::vector<std::string> names;
    const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> all(if_nameindex(), if_freenameindex);
    for (const auto* one = all.get(); one != nullptr && one->if_index != 0; ++one)
        if (is_up(one->if_name)) names.emplace_back(one->if_name);
    return names;
}

}  // namespace

Finding check_user(const DaemonConfig& config, const Identity& identity) {
    if (!identity.can_change)
        return sound("user", "not run as root: the daemon's processes would stay user " + std::to_string(identity.uid));
    return sound("user", "listener and gatekeeper become " + config.user + " (" + std::to_string(identity.uid) + ")");
}

Finding check_clock(const DaemonConfig& config) {
    const auto keeping = clock_keeping();
    if (!keeping) return unseen("clock", "the kernel does not tell whether it is kept", "timedatectl");
    if (!keeping->synchronised)
        return doubtful("clock",
                        "nothing keeps it: knocks are refused once it is " + duration_text(config.tolerance) + " off",
                        "timedatectl set-ntp true, or chrony");
    if (keeping->most_off > config.tolerance)
        return doubtful("clock",
                        "it may be " + duration_text(std::chrono::floor<Seconds>(keeping->most_off)) +
                            " off, more than the tolerance of " + duration_text(config.tolerance),
                        "look at what keeps it: timedatectl timesync-status, or chronyc tracking");
    return sound("clock", "synchronised, at most " +
                              std::to_string(std::chrono::floor<std::chrono::milliseconds>(keeping->most_off).count()) +
                              " ms off");
}

// One that is bound to no protocol receives nothing.
Finding check_capture() {
    if (const Descriptor fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); fd)
        return sound("capture", "packets may be captured");
    const int error = errno;
    if (error == EPERM && geteuid() != 0)
        return unseen("capture", "not permitted to this user (CAP_NET_RAW)", "run it as root, or as the daemon is run");
    if (error == EPERM)
        return doubtful("capture", "not permitted, though this is root: CAP_NET_RAW was taken away",
                        "give it back: CapabilityBoundingSet= in the unit, --cap-add NET_RAW for a container");
    return doubtful("capture", std::string("packet sockets are not available: ") + std::strerror(error),
                    "the kernel needs CONFIG_PACKET, and the unit AF_PACKET in RestrictAddressFamilies=");
}

Finding check_interface(const std::string& name) {
    if (name != "any") {
        if (if_nametoindex(name.c_str()) == 0)
            return doubtful("interface", name + " does not exist now; the daemon would wait for it",
                            "ip link; the field is \"interfaces\"");
        if (!is_up(name)) return doubtful("interface", name + " is down", "ip link set " + shell_word(name) + " up");
        return sound("interface", name + " is up");
    }
    const auto names = interfaces_that_are_up();
    if (names.empty() || names == std::vector<std::string>{"lo"})
        return doubtful("interface", "none is up but the host's own", "ip link");
    return sound("interface", "any; these are up: " + join(names, printable));
}

}  // namespace oneknock
