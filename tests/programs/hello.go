// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Go, linked statically by its own linker.

package main

import "os"

func main() {
	os.Stdout.WriteString("hello\n")
}
