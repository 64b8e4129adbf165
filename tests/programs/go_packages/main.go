// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A program whose packages take known times to initialise: see each of them.
package main

import (
	"fmt"
	"time"

	_ "go_packages/dotted.name"
	_ "go_packages/several"
	_ "go_packages/sleeper"
	_ "go_packages/spinner"
)

var begun = spin(3 * time.Millisecond)

func spin(duration time.Duration) time.Time {
	begin := time.Now()
	for time.Since(begin) < duration {
	}
	return begin
}

func init() {
	spin(2 * time.Millisecond)
}

func main() {
	fmt.Println("main after", time.Since(begun) > 0)
}
