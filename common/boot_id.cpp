#include "common/boot_id.hpp"

#include <algorithm>
#include <string>

#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"

namespace oneknock {

BootId read_boot_id() {
    BootId boot;
    fill_random(boot);
    const auto file = open_to_read("/proc/sys/kernel/random/boot_id");
    char text[64];
    const ssize_t length = file ? read(file->get(), text, sizeof text) : 0;
    std::string digits(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    std::erase_if(digits, [](char c) { return c == '-' || c == '\n'; });
    static_cast<void>(from_hex(digits, boot));
    return boot;
}

}  // namespace oneknock
