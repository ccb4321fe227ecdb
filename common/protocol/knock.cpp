#include "common/protocol/knock.hpp"

#include "common/protocol/codebook.hpp"
#include "common/protocol/key_schedule.hpp"

namespace oneknock {

Knock make_knock(const Request& request, const Secret32& client_secret, const Secret32& door_secret, const DoorId& door,
                 const PortSpan& span) {
    const Epoch epoch = epoch_of(std::chrono::sys_seconds{std::chrono::seconds{request.time}});
    const Hint hint = hint_for(derive_hint_key(client_secret), epoch);
    Knock knock{seal(request, derive_message_keys(client_secret), door, hint), {}, {}};
    knock.codeword = Code(knock.message.family).encode(knock.message);
    knock.ports = ports_of(knock.codeword, codebook_seed(door_secret, door, epoch), span);
    return knock;
}

}  // namespace oneknock
