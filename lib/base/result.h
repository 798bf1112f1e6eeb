#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace mutua {

// What went wrong, for a person: the operation and the object, then the cause.
//   "commit fed.example serial 41->42: conflict, found 43"
class Error {
 public:
  explicit Error(std::string message) : message_(std::move(message)) {}

  const std::string& message() const { return message_; }

  // The same error seen from one level up: "<context>: <message>".
  Error in(const std::string& context) const { return Error(context + ": " + message_); }

 private:
  std::string message_;
};

// printf-style constructor of an Error.
[[gnu::format(printf, 1, 2)]] Error errorf(const char* format, ...);

// An Error that ends with strerror of `errno_value`.
Error errno_error(int errno_value, const std::string& operation);

// A value or an Error. Results are never ignored silently.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return ok(); }
  bool ok() const { return state_.index() == 0; }

  // Calling value() of a failed Result is a bug: it aborts with the error.
  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    BASE_ASSERT(!ok());
    return std::get<1>(state_);
  }

  T value_or(T fallback) const& { return ok() ? std::get<0>(state_) : std::move(fallback); }

 private:
  void check() const {
    if (!ok()) assertion_failed(std::get<1>(state_).message().c_str(), __FILE__, __LINE__);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return ok(); }
  bool ok() const { return !error_.has_value(); }
  void value() const {
    if (!ok()) assertion_failed(error_->message().c_str(), __FILE__, __LINE__);
  }
  const Error& error() const {
    BASE_ASSERT(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace mutua

// auto value = TRY(may_fail());   returns the Error from the enclosing function.
#define TRY(...)                                             \
  __extension__({                                            \
    auto&& try_result_ = (__VA_ARGS__);                      \
    if (!try_result_.ok()) [[unlikely]]                      \
      return ::mutua::Error(std::move(try_result_).error()); \
    ::mutua::try_unwrap(std::move(try_result_));             \
  })

namespace mutua {
template <typename T>
T try_unwrap(Result<T>&& result) {
  return std::move(result).value();
}
inline void try_unwrap(Result<void>&&) {}
}  // namespace mutua
