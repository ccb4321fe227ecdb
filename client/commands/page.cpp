#include "keys/page.hpp"
#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "common/clock.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace oneknock {

Result<void> page_command(const PageOptions& options) {
    const auto door = open_door(options.door, read_clocks().wall, options.key_fd);
    if (!door) return tl::unexpected(door.error());
    const auto page = make_page(door->key, options.page_template);
    if (!page) return tl::unexpected(page.error());
    if (auto written = create_private_file(options.output, page->text.bytes()); !written) return written;
    log::info("made " + printable(options.output) + "; keep its passphrase somewhere else");
    return print_passphrase(page->passphrase);
}

}  // namespace oneknock
