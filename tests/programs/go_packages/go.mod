module go_packages

go 1.19
