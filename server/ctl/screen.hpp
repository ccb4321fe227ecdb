// A text that takes the place of the one before it on a terminal, without a moment in which the screen is empty. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oneknock {

struct ScreenSize {
    std::size_t rows = 0, columns = 0;  // 0: not known
};

// Once, before the first: ECMA-48's ED and CUP.
inline const std::string clear_screen = "\033[2J\033[H";

// From the upper left corner, each line cleared to its end and what is below them as well, where the cursor stays: a
// shell that comes back finds a line of its own. What does not fit is left out, so that the terminal neither wraps nor
// scrolls: of a line its end, of the lines the last, of which "..." tells.
[[nodiscard]] std::string drawn_over(std::string_view text, ScreenSize size);

}  // namespace oneknock
