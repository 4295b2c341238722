// What the libraries of the card have of each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace card {

struct Stream;
// Does it when the stream comes to it, or keeps it for the graph that the stream is recorded into.
void enqueue(Stream *stream, std::function<void()> work);
// Whether all of it is memory of the card that nobody has freed.
bool holds(const void *at, size_t bytes);
// Stops the program where what is written to or read from is no such memory.
void must_hold(const char *what, const void *at, size_t bytes);

}  // namespace card
