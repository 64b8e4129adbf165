// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Package sleeper sleeps for 20 ms in its init function.
package sleeper

import "time"

func init() {
	time.Sleep(20 * time.Millisecond)
}
